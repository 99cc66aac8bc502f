// The OpenTelemetry SDK costs 40 MB: it is loaded while somebody wants it, and not before. Held by the sources: what imports
// it, and how that is imported.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { REPOSITORY } from "../harness.ts";

/** Files of programs with their text. */
const sources = globSync("{sidecar,control-plane,rules,runtime}/**/*.ts", { cwd: REPOSITORY })
  .filter((file) => !file.endsWith(".test.ts"))
  .map((file) => ({ file, text: readFileSync(join(REPOSITORY, file), "utf8") }));

const STATIC = /^(?:import|export)(?! type\b)[^;]*? from "([^"]+)";/gms;

function staticImports(text: string): string[] {
  return [...text.matchAll(STATIC)]
    .filter(([statement]) => !/^import \{(\s*type [^,}]+,?)+\s*\} from/.test(statement))
    .map(([, from = ""]) => from);
}

test("only files that are loaded on demand import the OpenTelemetry SDK", () => {
  const users = sources
    .filter(({ text }) => staticImports(text).some((from) => from.startsWith("@opentelemetry/")))
    .map(({ file }) => file)
    .sort();
  expect(users).toEqual(["log-writer", "metrics-push", "span-writer"].map((name) => `sidecar/observe/otlp/${name}.ts`));
  for (const user of users) {
    const importers = sources.filter(({ text }) =>
      staticImports(text).some((from) => from.endsWith(`otlp/${basename(user)}`)),
    );
    expect(importers, user).toEqual([]);
    expect(
      sources.some(({ text }) => text.includes(`import("./observe/otlp/${basename(user)}")`)),
      user,
    ).toBe(true);
  }
});
