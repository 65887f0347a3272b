import "langchain-perf/register";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { withPerf } from "langchain-perf";
import { z } from "zod";
import { type Same, yes } from "./same.js";

const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none" });
const wrapped = model.withPerf({ cache: true });
yes<Same<typeof wrapped, typeof model>>();

// What only this class has is still there, with its types.
const bound = wrapped.bindTools([{ type: "function", function: { name: "f", parameters: {} } }], { tool_choice: "auto" });
const wrappedBound = bound.withPerf();
yes<Same<typeof wrappedBound, typeof bound>>();
const grader = wrapped.withStructuredOutput(z.object({ grade: z.enum(["good", "bad"]) }));
const wrappedGrader = grader.withPerf();
yes<Same<Awaited<ReturnType<typeof wrappedGrader.invoke>>, { grade: "good" | "bad" }>>();
const temperature: number | undefined = wrapped.temperature;
// @ts-expect-error not a property of the class
void wrapped.temprature;

const embeddings = withPerf(new OpenAIEmbeddings({ apiKey: "none" }));
yes<Same<typeof embeddings, OpenAIEmbeddings>>();
const { dimensions } = embeddings;

export { dimensions, temperature };
