/**
 * Enforces the direction of imports: every folder of `src` is a room that may import certain rooms and packages, and no others.
 * Run as a program it checks `src` and exits with 1 when an import is forbidden.
 */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";

interface Room {
  /** The room's files, relative to `src`; a layer is one file or one folder. */
  readonly files: RegExp;
  /** What it may import besides itself: paths relative to `src`, or packages with or without a subpath. */
  readonly may: readonly string[];
  /** What it may import the types of. */
  readonly mayTypes?: readonly string[];
}

const OPEN_TELEMETRY = "@opentelemetry/api";
const LANGCHAIN_CORE = "@langchain/core";

/** The first room that has the file counts. */
const ROOMS: readonly Room[] = [
  { files: /^core\//, may: [] },
  { files: /^layers\/trace(\.ts$|\/)/, may: ["core/", OPEN_TELEMETRY] },
  { files: /^layers\/[^/]+?(\.ts$|\/)/, may: ["core/", "lru-cache"], mayTypes: ["stores/", "limits/"] },
  { files: /^stores\/redis/, may: ["core/", "stores/", "ioredis"] },
  { files: /^stores\/postgres/, may: ["core/", "stores/", "pg"] },
  { files: /^stores\/memcached/, may: ["core/", "stores/", "memjs"] },
  { files: /^stores\//, may: ["core/", "lru-cache"] },
  { files: /^limits\/tokens\//, may: ["core/", "js-tiktoken"] },
  { files: /^limits\/redis(\.ts$|\/)/, may: ["core/", "limits/", "stores/redis/"], mayTypes: ["stores/bus.ts"] },
  { files: /^limits\//, may: ["core/"] },
  { files: /^langchain\/middleware\.ts$/, may: ["core/", "langchain/", LANGCHAIN_CORE, "langchain"] },
  { files: /^langchain\//, may: ["core/", LANGCHAIN_CORE] },
  { files: /^http\//, may: ["core/", "undici"] },
  { files: /^telemetry\//, may: ["core/", OPEN_TELEMETRY, "hdr-histogram-js"], mayTypes: ["limits/"] },
  { files: /^testing\//, may: ["core/"], mayTypes: ["stores/", "limits/"] },
  { files: /^cli\//, may: ["langchain-perf"] },
  { files: /^register\.ts$/, may: ["langchain/", "with-perf.ts"], mayTypes: ["perf.ts", "options.ts", LANGCHAIN_CORE, "langchain"] },
  { files: /^[^/]+\.ts$/, may: [""], mayTypes: [OPEN_TELEMETRY] },
];

interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly typesOnly: boolean;
}

/** One line for each import under `root` that its room does not allow. */
export function forbiddenImports(root: string): string[] {
  const files = globSync("**/*.ts", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
  return files.sort().flatMap((file) => {
    const room = ROOMS.find(({ files }) => files.test(file));
    if (!room) return [`${file}: this folder has no rule yet; give it one in scripts/check-imports.ts`];
    return importsOf(`${root}/${file}`)
      .filter((found) => !isAllowed(file, room, found))
      .map((found) => `${file}:${found.line}: must not import ${found.typesOnly ? "the types of " : ""}"${found.specifier}"; ${allowance(room)}`);
  });
}

function isAllowed(file: string, room: Room, { specifier, typesOnly }: Import): boolean {
  if (specifier.startsWith("node:")) return true;
  const allowed = typesOnly ? [...room.may, ...(room.mayTypes ?? [])] : room.may;
  if (!specifier.startsWith(".")) return allowed.some((name) => specifier === name || (!isPath(name) && specifier.startsWith(`${name}/`)));
  const target = posix.join(posix.dirname(file), specifier);
  if (target.startsWith("../")) return false;
  const itself = room.files.exec(file)?.[0] ?? "";
  const sameRoom = itself.endsWith("/") && target.startsWith(itself);
  return sameRoom || allowed.some((path) => isPath(path) && target.startsWith(path));
}

function isPath(name: string): boolean {
  return name === "" || name.endsWith("/") || name.endsWith(".ts");
}

function allowance({ may, mayTypes = [] }: Room): string {
  const list = (names: readonly string[]): string => names.map((name) => name || "all of src").join(", ");
  return `its room may import ${list([...may, "itself"])}${mayTypes.length > 0 ? ` and the types of ${list(mayTypes)}` : ""}`;
}

function importsOf(path: string): Import[] {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  const imports: Import[] = [];
  const visit = (node: ts.Node): void => {
    const literal = specifierOf(node);
    if (literal && ts.isStringLiteralLike(literal)) {
      imports.push({ specifier: literal.text, line: source.getLineAndCharacterOfPosition(literal.getStart(source)).line + 1, typesOnly: isTypesOnly(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal;
  const isDynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  return isDynamic ? node.arguments[0] : undefined;
}

function isTypesOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly || (!!node.exportClause && ts.isNamedExports(node.exportClause) && node.exportClause.elements.every((name) => name.isTypeOnly));
  if (!ts.isImportDeclaration(node) || !node.importClause) return false;
  const { phaseModifier, name, namedBindings } = node.importClause;
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  return !name && !!namedBindings && ts.isNamedImports(namedBindings) && namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

if (import.meta.main) {
  const forbidden = forbiddenImports("src");
  for (const line of forbidden) console.error(`src/${line}`);
  process.exitCode = forbidden.length > 0 ? 1 : 0;
}
