import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests call the public entry points by name and run the source, so that coverage counts it.
    alias: [
      { find: /^langchain-perf$/, replacement: src("index.ts") },
      { find: /^langchain-perf\/(.+)$/, replacement: src("$1.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/services/prepare.ts"],
    // Most of the time a test waits for a server or a clock.
    maxWorkers: 3,
    testTimeout: 20_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 95 },
    },
  },
});
