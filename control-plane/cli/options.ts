// Options that more than one command takes, written once so that they read the same everywhere.
import type { ArgumentSpec, OptionSpec } from "./command.ts";

export const SERVER_DEFAULT = "127.0.0.1:15010";
export const NAMESPACE_DEFAULT = "default";
export const TIMEOUT_MS_DEFAULT = 10_000;

/** On every command. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--server <host:port>",
    help: `address of the control plane (env WEFT_SERVER, default ${SERVER_DEFAULT})`,
    values: "none",
  },
  {
    flags: "-o, --output <format>",
    help: "table, wide, json or yaml (env WEFT_OUTPUT, default table)",
    values: "output",
  },
  {
    flags: "-n, --namespace <namespace>",
    help: `namespace (env WEFT_NAMESPACE, default ${NAMESPACE_DEFAULT})`,
    values: "namespace",
  },
  {
    flags: "--timeout <duration>",
    help: "how long one request may take (env WEFT_TIMEOUT, default 10s)",
    values: "none",
  },
];

export const FILENAME: OptionSpec = {
  flags: "-f, --filename <path>",
  help: "file, directory (its .yaml, .yml and .json files) or - for standard input; repeatable",
  repeatable: true,
  values: "file",
};

export const RECURSIVE: OptionSpec = { flags: "-R, --recursive", help: "look into subdirectories too" };
export const DRY_RUN: OptionSpec = { flags: "--dry-run", help: "say what would change and change nothing" };
export const STRICT: OptionSpec = { flags: "--strict", help: "treat warnings as errors" };
export const PRUNE: OptionSpec = {
  flags: "--prune",
  help: "the input is the complete set (of the namespace given with -n, else of all): delete what is not in it",
};
export const MESSAGE: OptionSpec = { flags: "-m, --message <text>", help: "why, for the history", values: "none" };
export const WAIT: OptionSpec = {
  flags: "--wait [duration]",
  help: "return when every affected sidecar acts on the revision (default 30s)",
  values: "none",
};
export const ALL_NAMESPACES: OptionSpec = { flags: "-A, --all-namespaces", help: "documents of every namespace" };

export const KIND_ARGUMENT: ArgumentSpec = { syntax: "<kind>", help: "kind of document, in any case", values: "kind" };
export const NAME_ARGUMENT: ArgumentSpec = { syntax: "<name>", help: "name of the document", values: "name" };
