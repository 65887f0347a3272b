/**
 * `register` augments the types of langchain, an optional peer. Where that is absent the rest must compile all the same; a comment in
 * the source does not survive the bundling of declarations, so it is put into the built ones.
 */
import { readFileSync, writeFileSync } from "node:fs";

for (const file of ["dist/register.d.ts", "dist/register.d.cts"]) {
  const declarations = readFileSync(file, "utf8");
  const allowed = declarations.replace(/^import .* from 'langchain';$/m, "// @ts-ignore -- langchain is an optional peer\n$&");
  if (allowed === declarations) throw new Error(`${file} does not import langchain where it is expected to`);
  writeFileSync(file, allowed);
}
