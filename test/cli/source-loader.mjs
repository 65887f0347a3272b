// Lets a plain Node process import the package by name from its source, without a build.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const entry = /^langchain-perf(?:\/(?!package\.json)(.+))?$/.exec(specifier);
    return entry === null ? next(specifier, context) : next(new URL(`../../src/${entry[1] ?? "index"}.ts`, import.meta.url).href, context);
  },
});
