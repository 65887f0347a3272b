/** The encodings that are counted exactly: those of OpenAI's models since 2022. */
export type Encoding = "o200k_base" | "cl100k_base";

/** GPT-4 up to Turbo, GPT-3.5, and embeddings; also as Azure spells them, fine-tuned, or behind the name of a provider. */
const OF_2022 = /(?:^|[/:])(?:gpt-4(?![\do.])|gpt-3\.?5|text-embedding-)/;

/**
 * The encoding of a model, by its name. What is not known is taken for a recent model of OpenAI; other providers publish no encoding
 * for JavaScript, or none, and theirs differ from it less than any estimate.
 */
export function encodingOf(model: string | undefined): Encoding {
  return model !== undefined && OF_2022.test(model) ? "cl100k_base" : "o200k_base";
}
