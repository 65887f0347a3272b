require("langchain-perf/register");
const { createPerf, OptionError, perfOf, PerfError, withPerf } = require("langchain-perf");
const { perfMiddleware } = require("langchain-perf/agent");
const { OptionError: TestingOptionError } = require("langchain-perf/testing");
const { HumanMessage } = require("@langchain/core/messages");
const { RunnableLambda } = require("@langchain/core/runnables");
const { FakeListChatModel } = require("@langchain/core/utils/testing");
const { createAgent } = require("langchain");
const { observe } = require("./observe.cjs");

observe({
  createPerf, OptionError, perfOf, PerfError, withPerf, perfMiddleware, TestingOptionError,
  HumanMessage, RunnableLambda, FakeListChatModel, createAgent,
}).then((observed) => console.log(JSON.stringify(observed)));
