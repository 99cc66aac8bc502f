// The flag convention of the three programs, on top of commander: every flag has an environment variable
// (`--control-plane` = WEFT_CONTROL_PLANE), an unknown flag or a bad value exits 2, help shows examples.
// Not the flags themselves: each program declares its own.
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { parseHostPort } from "./address.ts";

/** Exit code for bad usage and invalid rules. */
export const EXIT_USAGE = 2;

interface ProgramDescription {
  readonly name: string;
  readonly summary: string;
  readonly version: string;
  /** The flag that prints the version, where `--version` means something else; default `--version`. */
  readonly versionFlag?: string;
  /** Command lines shown under "Examples:" in --help, each with what it does. */
  readonly examples: readonly { readonly command: string; readonly does: string }[];
}

/** What the command line asked for: go on with these flags, or end with this code (help, version, bad usage). */
type ParsedFlags<Flags> =
  | { readonly outcome: "run"; readonly flags: Flags; readonly operands: readonly string[] }
  | { readonly outcome: "exit"; readonly code: number };

/** A commander program that never exits by itself, refuses what it does not know and shows examples. */
export function createProgram(description: ProgramDescription): Command {
  const examples = description.examples.map(({ command, does }) => `  ${command}\n      ${does}`).join("\n");
  return new Command(description.name)
    .description(description.summary)
    .version(description.version, description.versionFlag ?? "--version", "print the version")
    .helpOption("-h, --help", "show this help")
    .allowExcessArguments(false)
    .showHelpAfterError(`(see ${description.name} --help)`)
    .addHelpText("after", `\nEvery flag can be given as the environment variable beside it.\n\nExamples:\n${examples}`)
    .exitOverride();
}

/** An option whose environment variable follows from its long name. `long` is as in commander: `--data <dir>`. */
export function flag(long: string, text: string): Option {
  const option = new Option(long, text);
  return option.env(environmentName(option.long ?? long));
}

/** `--control-plane` -> `WEFT_CONTROL_PLANE`. */
function environmentName(longFlag: string): string {
  return `WEFT_${longFlag
    .replace(/^--(no-)?/, "")
    .replaceAll("-", "_")
    .toUpperCase()}`;
}

/** Takes variables of flags that are empty out of `environment`: in containers an empty one means "not set". */
export function dropEmptyVariables(environment: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith("WEFT_") && value === "") delete environment[name];
  }
}

/**
 * Parses `argv` (without node and script). Problems were already written to stderr, help and version to stdout,
 * when the outcome is "exit".
 */
export function parseFlags<Flags>(program: Command, argv: readonly string[]): ParsedFlags<Flags> {
  try {
    program.parse(argv, { from: "user" });
    return { outcome: "run", flags: program.opts() as Flags, operands: program.args };
  } catch (error) {
    if (error instanceof CommanderError) return { outcome: "exit", code: error.exitCode === 0 ? 0 : EXIT_USAGE };
    throw error;
  }
}

/** Argument parser: `HOST:PORT`. */
export function hostPortFlag(text: string): string {
  if (parseHostPort(text) === undefined)
    throw new InvalidArgumentError("Expected HOST:PORT, such as 127.0.0.1:15010 (port 0 chooses a free one).");
  return text;
}

/** Argument parser: a file or folder. An empty one would be the current folder. */
export function pathFlag(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected a path.");
  return text;
}

/** Argument parser: `HOST:PORT` or `off`. */
export function hostPortOrOffFlag(text: string): string {
  return text === "off" ? text : hostPortFlag(text);
}

/** Argument parser for `k=v`, repeatable on the command line and comma-separated in the environment. */
export function keyValueFlag(text: string, sofar: Readonly<Record<string, string>> = {}): Record<string, string> {
  const pairs = text.split(",").map((pair): [string, string] => {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new InvalidArgumentError("Expected KEY=VALUE.");
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  });
  return { ...sofar, ...Object.fromEntries(pairs) };
}

/** Argument parser for a comma-separated list. */
export function listFlag(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
