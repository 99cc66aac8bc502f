// docs/cli.md names every command, flag and field of JSON that exists, and none that does not.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runInMemory } from "../../test/cli/memory-shell.ts";
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

const REPOSITORY = join(import.meta.dirname, "../..");
const NOBODY = ["--server", "127.0.0.1:1", "--timeout", "5s"];

/** Commands of `weft` that a text tells its readers to type. */
function commandsIn(text: string): string[] {
  return Array.from(text.matchAll(/^(?:npx )?(weft [^\n]*)/gm), ([, line = ""]) => line).filter(
    (line) => !line.includes(" -> "),
  );
}

function told(): string[] {
  const docs = readdirSync(join(REPOSITORY, "docs")).map((name) => `docs/${name}`);
  const pages = [
    "README.md",
    ...docs,
    ...["deploy", "quickstart", "canary"].map((name) => `examples/${name}/README.md`),
  ];
  const texts = pages
    .filter((name) => name.endsWith(".md"))
    .map((name) => readFileSync(join(REPOSITORY, name), "utf8"));
  const examples = COMMANDS.flatMap((command) =>
    command.examples.map(([line]) => line.replace(/^source <\((.*)\)$/, "$1")),
  );
  const alerts = readFileSync(join(REPOSITORY, "examples/monitoring/alerts.yaml"), "utf8");
  const actions = Array.from(alerts.matchAll(/`(weft [^`]*)`/g), ([, line = ""]) => line);
  const named = actions.map((line) => line.replaceAll(/\{\{.*?\}\}/g, "default/orders"));
  return [...new Set([...texts.flatMap(commandsIn), ...examples, ...named])];
}

/** The words of a line, without what a shell would do with the output; files that are not here are others that are. */
function argumentsOf(line: string): string[] {
  const own = line.split(/ (?:#|\||>) /)[0] ?? "";
  const words = Array.from(own.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g), ([, a, b, c]) => a ?? b ?? c ?? "").slice(1);
  const present = words.includes("start") ? "examples/canary/good.yaml" : "examples/shop/rules/shop.yaml";
  return words.map((word, index) =>
    words[index - 1] === "-f" ? join(REPOSITORY, word.startsWith("examples/") ? word : present) : word,
  );
}

test.each(told().map((line) => [line]))("%s makes sense to the CLI", async (line) => {
  const { code, stderr } = await runInMemory([...argumentsOf(line), ...NOBODY]);
  // Nobody is there to be asked; what needs nobody succeeds.
  expect([0, 3], stderr).toContain(code);
});
