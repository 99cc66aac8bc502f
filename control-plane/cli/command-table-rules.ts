// The commands about rules: what a person writes, its revisions, and looking at both.
import type { CommandSpec } from "./command.ts";
import {
  ALL_NAMESPACES,
  DRY_RUN,
  FILENAME,
  KIND_ARGUMENT,
  MESSAGE,
  NAME_ARGUMENT,
  PRUNE,
  RECURSIVE,
  STRICT,
  WAIT,
} from "./options.ts";

export const RULES_COMMANDS: readonly CommandSpec[] = [
  {
    name: "apply",
    group: "Rules",
    summary: "Apply rule documents: all or none, as one revision",
    details: "Reads multi-document YAML, JSON and kind: List. Nothing of a rejected apply is kept.",
    options: [FILENAME, RECURSIVE, DRY_RUN, STRICT, WAIT, PRUNE, MESSAGE],
    examples: [
      ["weft apply -f orders.yaml", "apply one file"],
      ["weft apply -f rules/ -R --wait", "apply a tree of files and wait until every affected sidecar acts on it"],
      ["weft apply -f rules/ --prune --dry-run", "what would change if the directory were the complete set"],
      ["weft get -o yaml | sed s/v1/v2/ | weft apply -f - -m 'switch to v2'", "edit in a pipe"],
    ],
    load: async () => (await import("./commands/apply.ts")).apply,
  },
  {
    name: "get",
    group: "Rules",
    summary: "List rule documents",
    details: "KIND is any kind in any case, its plural or short name, several with commas, or KIND/NAME.",
    arguments: [
      { ...KIND_ARGUMENT, syntax: "[kind]" },
      { ...NAME_ARGUMENT, syntax: "[name...]" },
    ],
    options: [
      ALL_NAMESPACES,
      { flags: "--revision <revision>", help: "documents as they were at this revision", values: "revision" },
    ],
    examples: [
      ["weft get", "every document of the namespace"],
      ["weft get httproutes -A", "every HTTPRoute"],
      ["weft get httproute orders -o yaml", "one document, as it was applied"],
      ["weft get httproute orders --revision 12 -o yaml", "the same, as it was at revision 12"],
    ],
    load: async () => (await import("./commands/get.ts")).get,
  },
  {
    name: "describe",
    group: "Rules",
    summary: "Show one document with its history and what it acts on",
    arguments: [KIND_ARGUMENT, { ...NAME_ARGUMENT, syntax: "[name]" }],
    examples: [
      ["weft describe httproute orders", "a route, the services it is attached to, and its revisions"],
      ["weft describe service orders", "a service, with or without a document: endpoints, rules, callers"],
    ],
    load: async () => (await import("./commands/describe.ts")).describe,
  },
  {
    name: "delete",
    group: "Rules",
    summary: "Delete rule documents, as one revision",
    arguments: [
      { ...KIND_ARGUMENT, syntax: "[kind]" },
      { ...NAME_ARGUMENT, syntax: "[name...]" },
    ],
    options: [
      FILENAME,
      RECURSIVE,
      { flags: "--ignore-not-found", help: "a document that does not exist is not an error" },
      WAIT,
      MESSAGE,
    ],
    examples: [
      ["weft delete httproute orders", "delete one document"],
      ["weft delete -f orders.yaml --wait", "delete what a file names and wait until sidecars follow"],
    ],
    load: async () => (await import("./commands/delete.ts")).deleteDocuments,
  },
  {
    name: "diff",
    group: "Rules",
    summary: "Show what an apply would change, as a unified diff",
    options: [FILENAME, RECURSIVE, PRUNE, { flags: "--exit-code", help: "exit 1 when there are differences" }],
    examples: [
      ["weft diff -f orders.yaml", "differences between the file and what is stored"],
      ["weft diff -f rules/ --prune --exit-code", "is the directory what is stored? for scripts"],
    ],
    load: async () => (await import("./commands/diff.ts")).diff,
  },
  {
    name: "validate",
    group: "Rules",
    summary: "Check rule documents without a control plane",
    details:
      "Runs the checks of apply. Services that exist only because a sidecar runs are unknown here: references to services without a document are reported as warnings.",
    options: [FILENAME, RECURSIVE, STRICT],
    examples: [
      ["weft validate -f rules/ -R", "check a tree of files, in CI say"],
      ["weft validate -f orders.yaml --strict", "fail on warnings too"],
    ],
    load: async () => (await import("./commands/validate.ts")).validate,
  },
  {
    name: "schema",
    group: "Rules",
    summary: "Print the JSON Schema of a kind, or of all",
    arguments: [{ ...KIND_ARGUMENT, syntax: "[kind]" }],
    examples: [
      ["weft schema httproute", "one kind"],
      ["weft schema > weft.schema.json", "all kinds in one schema, for an editor"],
    ],
    load: async () => (await import("./commands/schema.ts")).schema,
  },
  {
    name: "history",
    group: "Rules",
    summary: "List revisions, newest first",
    arguments: [
      { ...KIND_ARGUMENT, syntax: "[kind]" },
      { ...NAME_ARGUMENT, syntax: "[name]" },
    ],
    options: [
      { flags: "--limit <count>", help: "revisions to show (default 50)", values: "none" },
      { flags: "--before <revision>", help: "only revisions older than this one", values: "revision" },
    ],
    examples: [
      ["weft history", "the last 50 revisions"],
      ["weft history httproute orders --limit 5", "the last five that touched a document"],
      ["weft history -o wide", "with the documents that each one changed"],
    ],
    load: async () => (await import("./commands/history.ts")).history,
  },
  {
    name: "rollback",
    group: "Rules",
    summary: "Make the documents what they were at a revision, as a new revision",
    options: [{ flags: "--to <revision>", help: "revision to go back to", values: "revision" }, DRY_RUN, WAIT, MESSAGE],
    examples: [
      ["weft rollback --to 12 --dry-run", "what would change"],
      ["weft rollback --to 12 -m 'orders v2 is slow' --wait", "go back and wait until sidecars follow"],
    ],
    load: async () => (await import("./commands/rollback.ts")).rollback,
  },
];
