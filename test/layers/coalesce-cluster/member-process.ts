/** A member in a process of its own: does what it is told by messages, and tells what happens. */
import { PerfError } from "../../../src/core/errors.ts";
import { words } from "../support/readers.ts";
import { Member } from "./member.ts";
import type { Order, Report } from "./remote-member.ts";

const [, , url = "", keyPrefix = ""] = process.argv;
const member = await new Member({ url, keyPrefix }).connected();
const tell = (report: Report): void => void process.send?.(report);

async function stream(): Promise<void> {
  try {
    for await (const { text } of await member.fast.stream("q")) tell({ text });
    tell({ ended: "whole" });
  } catch (error) {
    tell({ ended: PerfError.isInstance(error) ? error.code : String(error) });
  }
}

/** Many equal calls at once, every second one a stream; tells every answer that it got. */
async function storm(calls: number): Promise<void> {
  const streamed = async (): Promise<string> => (await Array.fromAsync(await member.fast.stream("q"), ({ text }) => text)).join("");
  const invoked = async (): Promise<string> => (await member.fast.invoke("q")).text;
  const answers = await Promise.all(Array.from({ length: calls }, (_, at) => (at % 2 === 0 ? streamed() : invoked())));
  for (const text of answers) tell({ text });
  tell({ ended: "whole" });
}

process.on("message", (order: Order) => {
  if (order.do === "stream") void stream();
  if (order.do === "storm") void storm(order.calls ?? 0);
  if (order.do === "push") member.taps[0]?.push(...words(order.text ?? ""));
  if (order.do === "end") member.taps[0]?.end();
});
process.once("disconnect", () => void member.perf.close());
setInterval(() => tell({ asked: member.asked }), 10).unref();
tell({ asked: 0 });
