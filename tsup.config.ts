import { defineConfig, type Options } from "tsup";

const shared: Options = {
  outDir: "dist",
  target: "node22",
  platform: "node",
  sourcemap: true,
  treeshake: true,
  // A package imports its own public entry points by name, as any user does.
  external: [/^langchain-perf/],
};

export default defineConfig([
  {
    ...shared,
    entry: { index: "src/index.ts", register: "src/register.ts", agent: "src/agent.ts", testing: "src/testing.ts" },
    format: ["esm", "cjs"],
    dts: process.env.NO_DTS === undefined,
    clean: true,
  },
  {
    ...shared,
    entry: { cli: "src/cli/main.ts", demo: "examples/demo/main.ts" },
    format: ["esm"],
    dts: false,
  },
]);
