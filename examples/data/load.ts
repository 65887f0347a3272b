import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** A section of the documentation that the RAG program answers from. */
export interface DocumentationChunk {
  chunk_link: string;
  chunk_heading: string;
  text: string;
}

/** A question about the documentation, labelled with the chunks that answer it. */
export interface LabelledQuestion {
  id: string;
  question: string;
  correct_chunks: string[];
  correct_answer: string;
}

/** What a customer wrote to a bank, and what it is about. */
export interface CustomerMessage {
  text: string;
  intent: string;
}

export function loadDocumentation(): DocumentationChunk[] {
  return JSON.parse(read("anthropic_docs.json.gz")) as DocumentationChunk[];
}

export function loadLabelledQuestions(): LabelledQuestion[] {
  return JSON.parse(read("anthropic_docs_questions.json.gz")) as LabelledQuestion[];
}

export function loadCustomerMessages(): CustomerMessage[] {
  const rows = [...read("banking77-train.csv.gz").matchAll(/^(?:"((?:[^"]|"")*)"|([^",\r\n]*)),([^",\r\n]+)\r?$/gm)];
  return rows
    .map(([, quoted, plain, intent = ""]) => ({ text: (quoted?.replaceAll('""', '"') ?? plain ?? "").replace(/\s+/g, " ").trim(), intent }))
    .filter(({ intent }) => intent !== "category");
}

/** The folder is beside this file, or beside `dist/` once the demo is bundled. */
function read(name: string): string {
  const candidates = [`./${name}`, `../examples/data/${name}`].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(url));
  if (found === undefined) throw new Error(`the example data ${name} is missing; looked at ${candidates.map((url) => fileURLToPath(url)).join(" and ")}`);
  return gunzipSync(readFileSync(found)).toString("utf8");
}
