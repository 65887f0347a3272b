const BYTEA = 17;

/** A `bytea[]` in Postgres's binary form (array_recv in its source): as text, every byte would travel as two digits. */
export function byteArrays(values: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(20);
  [1, 0, BYTEA, values.length, 1].forEach((field, at) => header.writeInt32BE(field, at * 4));
  const parts = values.flatMap((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value.length);
    return [length, value];
  });
  return Buffer.concat([header, ...parts]);
}

/** A `text[]` in its text form. */
export function textArray(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** Postgres has no NUL in its texts. */
export function escapeText(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\0", "%00");
}

export function unescapeText(text: string): string {
  return text.replaceAll("%00", "\0").replaceAll("%25", "%");
}
