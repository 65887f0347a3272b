import { type DynamicStructuredTool, tool, type ToolRunnableConfig } from "@langchain/core/tools";
import { z } from "zod";
import { type CallCounts, noCalls } from "./counts.ts";

const topicSchema = z.object({ topic: z.string().describe("What to look up.") });

export interface FakeToolFields {
  name: string;
  /** @default `Looks up <name>.` */
  description?: string;
  /** Where each call is counted. @default counts of its own */
  counts?: CallCounts;
  /** The answer. @default `<name> of <topic>` */
  run?(input: { topic: string }, config: ToolRunnableConfig): string | Promise<string>;
}

/** A tool of one string argument, `topic`, made as LangChain's documentation makes tools. */
export function fakeTool(fields: FakeToolFields): DynamicStructuredTool<typeof topicSchema> {
  const { name, description = `Looks up ${name}.`, counts = noCalls(), run = ({ topic }) => `${name} of ${topic}` } = fields;
  return tool(
    async (input, config) => {
      counts.tool += 1;
      return run(input, config);
    },
    { name, description, schema: topicSchema },
  );
}
