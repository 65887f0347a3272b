#!/usr/bin/env node
import { run } from "./run.ts";

// Commands say in their own words what a tier does not do.
const shown = process.listeners("warning");
process.removeAllListeners("warning").on("warning", (warning) => {
  if (!warning.message.startsWith("langchain-perf:")) for (const show of shown) show(warning);
});
// `| head` has read enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2));
