// A bundle is taken for a program only while every source that it was made from is as it was.
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BUNDLES, bundledProgram } from "./bundled-program.ts";

const SOURCES = ["room/program.ts", "room/deep/part.ts"];
const CHANGED = new Date("2026-11-01T12:00:00Z");
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "weft-bundled-"));
  for (const source of SOURCES) {
    write(source, "export {};\n");
    utimesSync(join(root, source), CHANGED, CHANGED);
  }
  const marks = SOURCES.map((source) => {
    const { mtimeMs, size } = statSync(join(root, source));
    return [source, [mtimeMs, size]];
  });
  write(`${BUNDLES}/room/program.js`, "");
  write(`${BUNDLES}/room/program.json`, JSON.stringify({ sources: Object.fromEntries(marks) }));
});

afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}

test("it is found while nothing has changed", () => {
  expect(bundledProgram("room/program", root)).toBe(join(root, BUNDLES, "room/program.js"));
  expect(bundledProgram("room/other", root)).toBeUndefined();
});

test("a source that has changed, at another time or in length, is run itself", () => {
  const [first = "", second = ""] = SOURCES;
  write(first, "export { };\n");
  utimesSync(join(root, first), CHANGED, CHANGED);
  expect(bundledProgram("room/program", root)).toBeUndefined();
  write(first, "export {};\n");
  utimesSync(join(root, first), CHANGED, CHANGED);
  expect(bundledProgram("room/program", root)).toBeDefined();
  utimesSync(join(root, second), CHANGED, new Date(CHANGED.getTime() + 5));
  expect(bundledProgram("room/program", root)).toBeUndefined();
});

test("so is one of which a source is gone, and one whose list cannot be read", () => {
  rmSync(join(root, SOURCES[1] ?? ""));
  expect(bundledProgram("room/program", root)).toBeUndefined();
  write(`${BUNDLES}/room/program.json`, "{");
  expect(bundledProgram("room/program", root)).toBeUndefined();
});
