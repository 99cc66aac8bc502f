// docs/cli.md names every command and flag that exists, and none that does not.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COMMANDS } from "./command-table.ts";
import { GLOBAL_OPTIONS } from "./options.ts";

const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
const flagsOf = (text: string): string[] => text.match(/--[a-z][a-z-]+/g) ?? [];
const known = new Set(
  [...GLOBAL_OPTIONS, ...COMMANDS.flatMap(({ options }) => options ?? [])].flatMap(({ flags }) => flagsOf(flags)),
);

test.each(COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => [name]))(
  "weft %s is documented",
  (name) => {
    expect(page).toMatch(new RegExp(`\`weft ${name}\\b`));
  },
);

test("every flag of every command is on the page", () => {
  const documented = new Set(flagsOf(page));
  const hidden = new Set(["--prefix"]);
  expect([...known].filter((flag) => !documented.has(flag) && !hidden.has(flag))).toEqual([]);
});

test("the page speaks of no flag that does not exist", () => {
  const extra = new Set(["--help", "--version"]);
  expect(flagsOf(page).filter((flag) => !known.has(flag) && !extra.has(flag))).toEqual([]);
});
