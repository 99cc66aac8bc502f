// docs/cli.md names every command, flag and field of JSON that exists, and none that does not.
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

/** Shapes of the page, and the interface of control-plane/view that each is. */
const SHAPES = [
  ["Change", "change", "ChangeView"],
  ["Refusal", "fleet", "RefusalView"],
  ["Revision", "change", "RevisionView"],
  ["Release", "rollout", "RolloutView"],
  ["Sidecar", "fleet", "SidecarView"],
  ["Service", "fleet", "ServiceView"],
  ["Endpoint", "fleet", "EndpointView"],
  ["Candidate", "explain", "CandidateView"],
  ["Backend", "explain", "BackendView"],
  ["Decision", "decision", "DecisionView"],
  ["Policy", "explain", "PolicyView"],
] as const;

/** Fields of the interface itself, with `?` where they may be absent; those of what it extends are not among them. */
function codedFields(file: string, name: string): string[] {
  const source = readFileSync(new URL(`../view/${file}.ts`, import.meta.url), "utf8");
  const body = source.split(`export interface ${name} `)[1]?.split("\n}")[0] ?? "";
  return [...body.matchAll(/^ {2}readonly (\w+\??):/gm)].map(([, field = ""]) => field);
}

test.each(SHAPES)("%s has the fields that the page says", (shape, file, name) => {
  const row = page.match(new RegExp(`^\\| ${shape} \\| (.*) \\|$`, "m"))?.[1] ?? "";
  const fields = row
    .replace(/\([^()]*(\([^()]*\)[^()]*)*\)/g, "")
    .replace(/(: \[?\{).*?\}(?=[\]`])/g, "")
    .matchAll(/`(\w+\??)/g);
  const inherited = shape === "Change" ? ["kind", "namespace", "name"] : [];
  const documented = Array.from(fields, ([, field = ""]) => field);
  expect(documented.toSorted()).toEqual([...codedFields(file, name), ...inherited].toSorted());
});
