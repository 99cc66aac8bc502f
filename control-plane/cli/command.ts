// What a command is: a row of data that the parser, the help, the completion scripts and the documentation
// test all read, and a function that is loaded only when the command runs.
import type { ExitCode } from "./failure.ts";
import type { Flags } from "./flags.ts";
import type { Shell } from "./shell.ts";

export type OutputFormat = "table" | "wide" | "json" | "yaml";
export const OUTPUT_FORMATS: readonly OutputFormat[] = ["table", "wide", "json", "yaml"];

/** What a value stands for, so that a shell can complete it. */
export type ValueKind = "file" | "output" | "namespace" | "service" | "revision" | "kind" | "name" | "shell" | "none";

export interface OptionSpec {
  /** As the parser reads it: `-f, --filename <path>`. */
  readonly flags: string;
  readonly help: string;
  readonly repeatable?: true;
  readonly values?: ValueKind;
}

export interface ArgumentSpec {
  /** As the parser reads it: `<kind>`, `[name...]`. */
  readonly syntax: string;
  readonly help: string;
  readonly values: ValueKind;
}

/** One run of a command. */
export interface Invocation {
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly shell: Shell;
  /** The whole table, for commands about commands. */
  readonly commands: readonly CommandSpec[];
  readonly output: OutputFormat;
  /** True when stdout takes colour. */
  readonly color: boolean;
  readonly server: string;
  /** As given with -n or WEFT_NAMESPACE; undefined when neither is. */
  readonly namespace: string | undefined;
  /** How long one request to the control plane may take. */
  readonly timeoutMs: number;
}

export type CommandRun = (invocation: Invocation) => Promise<ExitCode>;

export type CommandGroup = "Rules" | "Fleet" | "Tools";

export interface CommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: CommandGroup;
  /** One line, without a full stop. */
  readonly summary: string;
  /** What the summary leaves out; empty where nothing. */
  readonly details?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** Command lines with a comment each. */
  readonly examples: readonly (readonly [command: string, comment: string])[];
  readonly hidden?: true;
  readonly load: () => Promise<CommandRun>;
}
