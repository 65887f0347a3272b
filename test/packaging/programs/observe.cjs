/** What a program sees of the built package: whether its entry points are parts of one thing. Loads nothing itself. */
exports.observe = async function observe(loaded) {
  const { createPerf, OptionError, perfOf, PerfError, withPerf, perfMiddleware, TestingOptionError } = loaded;
  const { HumanMessage, RunnableLambda, FakeListChatModel, createAgent } = loaded;
  const perf = createPerf({ cache: true });
  const statuses = [];
  perf.on("call", ({ kind, cache }) => kind === "chat" && statuses.push(cache?.status));

  const model = new FakeListChatModel({ responses: ["first", "second"] });
  const chain = RunnableLambda.from((text) => model.invoke(text)).withPerf(perf);
  const answers = [(await chain.invoke("?")).text, (await withPerf(model, perf).invoke("?")).text];

  const agent = createAgent({ model: new FakeListChatModel({ responses: ["agent"] }), tools: [], middleware: [perfMiddleware(perf)] }).withPerf(perf);
  const { messages } = await agent.invoke({ messages: [new HumanMessage("?")] });

  const refused = thrownBy(() => RunnableLambda.from(() => 1).withPerf({ nonsense: 1 }));
  return {
    answers,
    statuses,
    agent: messages.at(-1).text,
    samePerf: [perfOf(chain) === perf, perfOf(agent) === perf],
    sameErrors: [refused instanceof OptionError, refused instanceof PerfError, OptionError === TestingOptionError],
  };
};

function thrownBy(work) {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
