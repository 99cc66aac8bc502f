// docs/decision-records.md has a line for every act, and none for one that does not exist.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACT_NAMES } from "./exchange-record.ts";

test("every act of a policy is documented, and the reverse", () => {
  const page = readFileSync(new URL("../../docs/decision-records.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("| act | subject |"));
  const documented = Array.from(table.matchAll(/^\| `([a-z-]+)`/gm), ([, name]) => name);
  expect(documented).toEqual([...ACT_NAMES]);
});
