/** A text of this length whose every word tells which text it is. */
export function textOf(length: number, seed: number | string): string {
  const word = `${seed} lorem ipsum dolor `;
  // Through bytes, so that the string is one flat piece of its own, as those that come from a network are.
  return Buffer.from(word.repeat(Math.ceil(length / word.length)).slice(0, length)).toString();
}
