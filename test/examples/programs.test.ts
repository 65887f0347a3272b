import { createSimulator, type Simulator } from "langchain-perf/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSupportAgent } from "../../examples/agent/agent.ts";
import { Conversation, createChat } from "../../examples/chat/chat.ts";
import { loadDocumentation, loadLabelledQuestions } from "../../examples/data/load.ts";
import { createRag, indexSections } from "../../examples/rag/rag.ts";
import { createClassifier } from "../../examples/sentiment/sentiment.ts";

let simulator: Simulator;
let connection: { apiKey: string; configuration: { baseURL: string } };

beforeEach(async () => {
  simulator = await createSimulator({ recordBodies: true });
  connection = { apiKey: "simulated", configuration: { baseURL: simulator.baseURL } };
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await simulator.close();
});

const sections = loadDocumentation().map(({ chunk_link: link, text }) => ({ link, text }));

describe("the programs, bare", () => {
  it("rag streams an answer from the documentation", async () => {
    const rag = await createRag(sections, connection);
    const parts = await Array.fromAsync(await rag.stream(loadLabelledQuestions()[0]?.question ?? ""));
    expect(parts.length).toBeGreaterThan(1);
    const { body } = simulator.requests.at(-1) as { body: { messages: { content: string }[] } };
    expect(body.messages[0]?.content).toContain("(source: https://docs.claude.com/");
  });

  it("rag retrieves a labelled chunk for most questions", async () => {
    const retriever = await indexSections(sections, connection);
    const found = await Promise.all(
      loadLabelledQuestions().map(async ({ question, correct_chunks }) =>
        (await retriever.invoke(question)).some(({ metadata }) => correct_chunks.includes(metadata.link)),
      ),
    );
    expect(found.filter(Boolean).length).toBeGreaterThanOrEqual(60);
  });

  it("chat remembers what was said", async () => {
    const conversation = new Conversation(createChat(connection));
    const first = (await Array.fromAsync(conversation.ask("When does my card arrive?"))).join("");
    await Array.fromAsync(conversation.ask("And a refund?"));
    expect(first).toContain("five working days");
    const { body } = simulator.requests.at(-1) as { body: { messages: { role: string; content: string }[] } };
    expect(body.messages.slice(1).map(({ content }) => content)).toEqual(["When does my card arrive?", first, "And a refund?"]);
  });

  it.each([
    ["Where is my order A-1001?", "order_status", "shipped on Monday"],
    ["What is the exchange rate from USD to EUR?", "exchange_rate", "1 USD = 0.9174 EUR"],
    ["What is the refund policy for books?", "refund_policy", "14 days, unread"],
  ])("agent answers %s by its tool %s", async (content, tool, answer) => {
    const { messages } = await createSupportAgent(connection).invoke({ messages: [{ role: "user", content }] });
    expect(messages.map(({ name }) => name)).toContain(tool);
    expect(messages.at(-1)?.text).toContain(answer);
  });

  it("sentiment gives a typed object", async () => {
    const classifier = createClassifier(connection);
    expect(await classifier.invoke({ message: "This is terrible, I need help immediately!" })).toMatchObject({ sentiment: "negative", urgent: true });
    expect(await classifier.invoke({ message: "I love this card, thank you." })).toMatchObject({ sentiment: "positive", urgent: false });
  });
});

describe("the programs, wrapped", () => {
  it.each([
    ["rag", 1],
    ["chat", 2],
    ["agent", 2],
    ["sentiment", 1],
  ])("%s/with-perf.ts asks the model %i times, though it asks everything twice", async (name, chatCalls) => {
    vi.stubEnv("OPENAI_API_KEY", "simulated");
    vi.stubEnv("OPENAI_BASE_URL", simulator.baseURL);
    const log = vi.spyOn(console, "log").mockReturnValue();
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    await import(`../../examples/${name}/with-perf.ts`);
    expect(log.mock.calls.flat().join("\n")).toMatch(/\d ms\)/);
    expect(simulator.count({ path: "/v1/chat/completions" })).toBe(chatCalls);
  });
});
