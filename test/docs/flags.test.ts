// Flags and their defaults: what the pages say is what the programs say themselves.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDuration } from "../../rules/durations.ts";
import { cleanUp, REPOSITORY, runProgram } from "../harness.ts";

interface Flag {
  readonly environment: string;
  /** As --help writes it; empty where there is none. */
  readonly byDefault: string;
}

type Flags = ReadonlyMap<string, Flag>;

const page = (name: string): string => readFileSync(join(REPOSITORY, name), "utf8");
let sidecar: Flags = new Map();
let controlPlane: Flags = new Map();

beforeAll(async () => {
  sidecar = flagsOf((await runProgram("weft-sidecar", ["--help"])).stdout);
  controlPlane = flagsOf((await runProgram("weft-control-plane", ["--help"])).stdout);
});
afterAll(cleanUp);

/** Flags by the text of --help, whose lines are broken anywhere between words. */
function flagsOf(help: string): Flags {
  const options = help.slice(help.indexOf("\nOptions:"), help.indexOf("\nEvery flag")).split(/\n {2}(?=-)/);
  return new Map(
    options.slice(1).map((text) => {
      const words = text.replace(/\s+/g, " ");
      const name = /--[a-z-]+/.exec(words)?.[0] ?? "";
      const environment = /\benv: (WEFT_[A-Z_]+)/.exec(words)?.[1] ?? "";
      const byDefault = /\bdefault: "?([^",)]*)/.exec(words)?.[1] ?? "";
      return [name, { environment, byDefault }];
    }),
  );
}

/** Cells of the rows of a page that begin with a flag, by its name. */
function flagRows(text: string): Map<string, string[]> {
  const rows = Array.from(text.matchAll(/^\| (`--.*) \|$/gm), ([, row = ""]) => row.split(/ \| /));
  return new Map(rows.map((cells) => [/--[a-z-]+/.exec(cells[0] ?? "")?.[0] ?? "", cells]));
}

const isSame = (a: string, b: string): boolean =>
  a === b || (parseDuration(a) !== undefined && parseDuration(a) === parseDuration(b));

test("every flag of the sidecar is in docs/sidecar.md, and each has its variable", () => {
  const text = page("docs/sidecar.md");
  expect(sidecar.size).toBeGreaterThan(25);
  expect([...sidecar.keys()].filter((name) => name !== "--help" && !text.includes(`\`${name}`))).toEqual([]);
  for (const [name, { environment }] of sidecar)
    if (name !== "--help" && name !== "--program-version")
      expect(environment).toBe(`WEFT_${name.slice(2).replaceAll("-", "_").toUpperCase()}`);
});

test("defaults in the tables of docs/sidecar.md are those of the sidecar", () => {
  const rows = [...flagRows(page("docs/sidecar.md"))].filter(([, cells]) => cells.length === 3);
  expect(rows.length).toBeGreaterThan(10);
  for (const [name, cells] of rows) {
    const documented = /`?([^`\s]+)/.exec(cells[1] ?? "")?.[1] ?? "";
    const { byDefault = "" } = sidecar.get(name) ?? {};
    expect(isSame(documented, byDefault.split(" ")[0] ?? ""), `${name}: ${documented} is ${byDefault}`).toBe(true);
  }
});

test("the table of docs/control-plane.md has the control plane's flags, with variables and defaults", () => {
  const rows = flagRows(page("docs/control-plane.md"));
  const unlisted = ["--help", "--version", "--etcd-endpoints"];
  expect([...rows.keys()].toSorted()).toEqual(
    [...controlPlane.keys()].filter((name) => !unlisted.includes(name)).toSorted(),
  );
  for (const [name, cells] of rows) {
    const { environment, byDefault } = controlPlane.get(name) ?? { environment: "", byDefault: "" };
    expect(cells.slice(1, 3), name).toEqual([`\`${environment}\``, `\`${byDefault}\``]);
  }
});

test("no page speaks of a flag that no program has", () => {
  const cli = page("docs/cli.md").match(/--[a-z][a-z-]+/g) ?? [];
  const known = new Set([...sidecar.keys(), ...controlPlane.keys(), ...cli]);
  const pages = ["README.md", ...readdirSync(join(REPOSITORY, "docs")).map((name) => `docs/${name}`)];
  // What is measured with is not one of the three programs.
  const own = pages.filter((name) => name.endsWith(".md") && name !== "docs/performance.md");
  const unknown = own.flatMap((name) =>
    Array.from(page(name).matchAll(/`(--[a-z][a-z-]+)/g), ([, flag = ""]) => flag)
      .filter((flag) => !known.has(flag))
      .map((flag) => `${name}: ${flag}`),
  );
  expect(unknown).toEqual([]);
});
