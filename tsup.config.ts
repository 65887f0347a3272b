import { rmSync } from "node:fs";
import { defineConfig, type Options } from "tsup";

const withTypes = process.env.NO_DTS === undefined;

// Emptied here and once: two builds share the folder, and one's `clean` could remove what the other has just written.
if (withTypes) rmSync("dist", { recursive: true, force: true });

const shared: Options = {
  outDir: "dist",
  target: "node22",
  platform: "node",
};

export default defineConfig([
  {
    ...shared,
    entry: { index: "src/index.ts", register: "src/register.ts", agent: "src/agent.ts", stores: "src/stores.ts", limits: "src/limits.ts", http: "src/http.ts", testing: "src/testing.ts" },
    format: ["esm", "cjs"],
    sourcemap: true,
    // The entry points of a format share one copy of the code: classes, WeakMaps and registries must be the same in all of them.
    splitting: true,
    // Through rollup: without it, splitting CommonJS rewrites `?.` and `??` into helper functions.
    treeshake: true,
    // `import.meta.url` in CommonJS, too: the thread that counts tokens is a file beside it.
    shims: true,
    dts: withTypes,
  },
  {
    ...shared,
    entry: { "tokens-worker": "src/limits/tokens/worker.ts" },
    format: ["esm"],
    splitting: false,
  },
  {
    ...shared,
    entry: { cli: "src/cli/main.ts", demo: "examples/demo/main.ts" },
    format: ["esm"],
    splitting: false,
    // They use the library as any user does, by its public entry points.
    external: [/^langchain-perf/],
  },
]);
