const STOP_WORDS = new Set(
  `a about above after aren couldn d didn doesn don get got hadn hasn haven isn m shouldn ve wasn weren won wouldn again
    all also am an and any are as at be because been before being between both but by can could did do does doing down
    during each few for from further had has have having he her here hers him his how i if in into is it its itself just let
    like ll many me more most much must my myself no nor not now of off on once only or other our ours out over own please
    re s same shall she should so some such t tell than that the their theirs them then there these they this those through
    to too under until up us use used using ve very was we were what when where which while who whom why will with would you
    your yours`.split(/\s+/),
);

/** Lower-case runs of letters and digits. */
export function rawWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

export function isStopWord(word: string): boolean {
  return STOP_WORDS.has(word);
}

/** A text's words come again and again: the same few thousand stems serve most requests. */
const known = new Map<string, string>();
const MAX_KNOWN = 50_000;

/** A light stemmer: enough for plurals and verb endings to meet. */
export function stem(word: string): string {
  if (word.length < 4) return word;
  let root = known.get(word);
  if (root === undefined) {
    root = cutEndings(word);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(word, root);
  }
  return root;
}

function cutEndings(word: string): string {
  let root = word;
  if (root.endsWith("ies") && root.length > 4) root = `${root.slice(0, -3)}y`;
  else if (/(?:ss|us|is)$/.test(root)) return root;
  else if (/(?:ch|sh|x|z|ss)es$/.test(root)) root = root.slice(0, -2);
  else if (root.endsWith("s")) root = root.slice(0, -1);
  if (root.endsWith("ing") && root.length > 5) root = root.slice(0, -3);
  else if (root.endsWith("ied")) root = `${root.slice(0, -3)}y`;
  else if (root.endsWith("ed") && root.length > 4) root = root.slice(0, -2);
  else if (root.endsWith("ly") && root.length > 5) root = root.slice(0, -2);
  if (/([^aeiouls])\1$/.test(root)) root = root.slice(0, -1);
  return root.length > 3 && root.endsWith("e") ? root.slice(0, -1) : root;
}

/** Stems of the words that carry meaning, in order, repetitions kept. */
export function stems(text: string): string[] {
  return rawWords(text).filter((word) => !STOP_WORDS.has(word)).map(stem);
}

/** Words that carry meaning as written, without repetitions. */
export function keywords(text: string, atMost = 5): string[] {
  const seen = new Map<string, string>();
  for (const word of text.match(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu) ?? []) {
    const lower = word.toLowerCase();
    if (!STOP_WORDS.has(lower.split(/['’]/, 1)[0]!) && lower.length > 2 && !seen.has(stem(lower))) seen.set(stem(lower), word);
  }
  return [...seen.values()].slice(0, atMost);
}

/** Sentences and stand-alone lines, trimmed, none empty. */
export function sentences(text: string): string[] {
  return text
    .split(/(?<=[.!?])["')\]]?\s+(?=\S)|\n+/)
    .map((sentence) => sentence.replace(/\s+/g, " ").trim())
    .filter((sentence) => /[\p{L}\p{N}]/u.test(sentence));
}

/** Pieces of a text as a model would emit them: a word with the space before it, long words cut. */
export function tokenize(text: string): string[] {
  return text.match(/\s*[\p{L}\p{N}_]{1,12}|\s*[^\s\p{L}\p{N}_]{1,3}|\s+$/gu) ?? [];
}

/** The usual estimate of four characters a token. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}
