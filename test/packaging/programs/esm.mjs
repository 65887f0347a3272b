import { createPerf, OptionError, perfOf, PerfError, withPerf } from "langchain-perf";
import "langchain-perf/register";
import { perfMiddleware } from "langchain-perf/agent";
import { OptionError as TestingOptionError } from "langchain-perf/testing";
import { HumanMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { createAgent } from "langchain";
import { observe } from "./observe.cjs";

console.log(JSON.stringify(await observe({
  createPerf, OptionError, perfOf, PerfError, withPerf, perfMiddleware, TestingOptionError,
  HumanMessage, RunnableLambda, FakeListChatModel, createAgent,
})));
