import { convertToOpenAITool, isLangChainTool } from "@langchain/core/utils/function_calling";
import { Unfit } from "../../core/layer.ts";
import type { Dialect, FormatName } from "./formats.ts";
import { schemaForGoogle, schemaOfGoogle, type Schema } from "./schemas.ts";

/** A tool that the caller runs, in nobody's format. */
interface ClientTool {
  readonly name: string;
  readonly description?: string;
  /** Of its arguments; absent = it has none. */
  readonly schema?: Schema;
  readonly strict?: boolean;
}

interface ToolFormat {
  /** The tools that one entry of this format stands for; `undefined` = it is none of this format. */
  read(tool: object): ClientTool[] | undefined;
  write(tools: readonly ClientTool[]): object[];
}

const NO_ARGUMENTS: Schema = { type: "object", properties: {} };

/** How tools that the caller runs are told in each format. */
const FORMATS: Readonly<Record<FormatName, ToolFormat>> = {
  OpenAI: {
    read(tool) {
      const { type, function: declared } = tool as { type?: unknown; function?: { name?: unknown; description?: string; parameters?: Schema; strict?: boolean | null } };
      return type === "function" && typeof declared?.name === "string" ? [clientTool(declared.name, declared.description, declared.parameters, declared.strict)] : undefined;
    },
    write: (tools) => tools.map(({ schema = NO_ARGUMENTS, ...rest }) => ({ type: "function", function: { ...rest, parameters: schema } })),
  },
  Anthropic: {
    read(tool) {
      const { type = "custom", name, description, input_schema: schema, strict } = tool as { type?: unknown; name?: unknown; description?: string; input_schema?: Schema; strict?: boolean };
      return type === "custom" && typeof name === "string" && typeof schema === "object" ? [clientTool(name, description, schema, strict)] : undefined;
    },
    write: (tools) => tools.map(({ schema = NO_ARGUMENTS, ...rest }) => ({ ...rest, input_schema: schema })),
  },
  Google: {
    read(tool) {
      const { functionDeclarations: declared, ...others } = tool as { functionDeclarations?: { name: string; description?: string; parameters?: Schema; parametersJsonSchema?: Schema }[] };
      if (!Array.isArray(declared) || Object.keys(others).length > 0) return undefined;
      return declared.map(({ name, description, parameters, parametersJsonSchema }) => clientTool(name, description, parametersJsonSchema ?? (parameters && schemaOfGoogle(parameters))));
    },
    // One entry: Google refuses several that declare functions.
    write(tools) {
      const declared = tools.map(({ name, description, schema }) => {
        const parameters = schemaForGoogle(schema);
        return { name, ...(description === undefined ? {} : { description }), ...(parameters ? { parameters } : {}) };
      });
      return declared.length > 0 ? [{ functionDeclarations: declared }] : [];
    },
  },
};

function clientTool(name: string, description: string | undefined, schema: Schema | undefined, strict?: boolean | null): ClientTool {
  return { name, ...(description === undefined ? {} : { description }), ...(schema ? { schema } : {}), ...(typeof strict === "boolean" ? { strict } : {}) };
}

/** A call's tools in the format of whoever is asked; those that another provider runs, or nobody else knows, are for nobody else. */
export function toolsFor(tools: readonly object[], from: Dialect, to: Dialect & { format: FormatName }): object[] | Unfit {
  const asTheyAre: object[] = [];
  const converted: ClientTool[] = [];
  for (const tool of tools) {
    const isNative = FORMATS[to.format].read(tool) !== undefined;
    const read = isNative ? undefined : readTool(tool);
    if (read) converted.push(...read);
    else if (isNative || from.provider === to.provider) asTheyAre.push(tool);
    else return new Unfit(`cannot take the tool ${nameOf(tool)} of ${from.provider}`);
  }
  const dropped = to.format === "Anthropic" ? converted.find(({ schema }) => schema && UNIONS.some((keyword) => keyword in schema)) : undefined;
  if (dropped) return new Unfit(`cannot take the tool "${dropped.name}", whose arguments are a choice of several schemas`);
  return [...asTheyAre, ...FORMATS[to.format].write(converted)];
}

/** At the top of a tool's schema Anthropic refuses them, and LangChain's class drops such a tool without a word. */
const UNIONS = ["oneOf", "anyOf", "allOf"] as const;

function readTool(tool: object): ClientTool[] | undefined {
  const { extras, metadata } = tool as { extras?: { providerToolDefinition?: unknown }; metadata?: { customTool?: unknown } };
  // Such an object only carries a provider's own tool.
  if (extras?.providerToolDefinition || metadata?.customTool) return undefined;
  const plain = isLangChainTool(tool) ? convertToOpenAITool(tool) : tool;
  return FORMATS.OpenAI.read(plain) ?? FORMATS.Anthropic.read(plain) ?? FORMATS.Google.read(plain);
}

function nameOf(tool: object): string {
  const { type, name } = tool as { type?: unknown; name?: unknown };
  return `"${String(type ?? name ?? Object.keys(tool)[0])}"`;
}
