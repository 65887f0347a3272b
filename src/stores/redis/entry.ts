/**
 * How an entry lies in its Redis string: a header with the labels, then the value. The labels stand there in clear because the index by label is a second key
 * that Redis may evict while the entry lives. All numbers are big-endian.
 *
 * | bytes | |
 * | --- | --- |
 * | 4 | `LCP1` |
 * | 4 | length of the whole header |
 * | 2 | number of labels |
 * | for each label: 2 + n | its length, and itself in UTF-8 |
 */
const MARK = Buffer.from("LCP1");
const FIXED_BYTES = 10;
const LONGEST_LABEL_BYTES = 0xffff;

/** @throws RangeError when there are too many labels, or one is too long */
export function packEntry(value: Uint8Array, labels: readonly string[]): Buffer {
  const texts = labels.map((label) => Buffer.from(label));
  const headerBytes = texts.reduce((sum, text) => sum + 2 + text.length, FIXED_BYTES);
  if (texts.length > 0xffff || texts.some((text) => text.length > LONGEST_LABEL_BYTES)) throw new RangeError("An entry's labels must be at most 65535, of at most 65535 bytes each");
  const packed = Buffer.allocUnsafe(headerBytes + value.length);
  MARK.copy(packed);
  packed.writeUInt32BE(headerBytes, 4);
  packed.writeUInt16BE(texts.length, 8);
  let at = FIXED_BYTES;
  for (const text of texts) {
    packed.writeUInt16BE(text.length, at);
    text.copy(packed, at + 2);
    at += 2 + text.length;
  }
  packed.set(value, headerBytes);
  return packed;
}

/** The value, not copied; `undefined` when these bytes are no entry of ours. */
export function unpackEntry(packed: Buffer): Uint8Array | undefined {
  if (packed.length < FIXED_BYTES || packed.readUInt32BE(0) !== MARK.readUInt32BE(0)) return undefined;
  const headerBytes = packed.readUInt32BE(4);
  return headerBytes < FIXED_BYTES || headerBytes > packed.length ? undefined : packed.subarray(headerBytes);
}
