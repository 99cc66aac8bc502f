// What the completion scripts of all shells are made from: the command table, flattened into words.
import { KINDS } from "../../../rules/kinds.ts";
import { type CommandSpec, type OptionSpec, OUTPUT_FORMATS, type ValueKind } from "../command.ts";
import { GLOBAL_OPTIONS } from "../options.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof SHELLS)[number];

export interface FlagWords {
  readonly short: string | undefined;
  readonly long: string;
  readonly help: string;
  /** What follows the flag as a word of its own; undefined when nothing does. */
  readonly value: ValueKind | undefined;
}

export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagWords[];
  /** What each positional argument is; the last one repeats. */
  readonly arguments: readonly ValueKind[];
}

export const KIND_WORDS: readonly string[] = KINDS.map((kind) => kind.toLowerCase());
export { OUTPUT_FORMATS };

/** Every command a person would type. */
export function commandWords(commands: readonly CommandSpec[]): CommandWords[] {
  return commands.filter((spec) => spec.hidden !== true).map(wordsOf);
}

function wordsOf(spec: CommandSpec): CommandWords {
  const help: FlagWords = { short: "-h", long: "--help", help: "show the help", value: undefined };
  return {
    name: spec.name,
    summary: spec.summary,
    flags: [...[...(spec.options ?? []), ...GLOBAL_OPTIONS].map(flagWords), help],
    arguments: (spec.arguments ?? []).map(({ values }) => values),
  };
}

function flagWords({ flags, help, values }: OptionSpec): FlagWords {
  const [, short, long = ""] = /^(?:(-\w), )?(--[\w-]+)/.exec(flags) ?? [];
  // A value in brackets is optional and only taken after "=".
  return { short, long, help, value: flags.includes("<") ? (values ?? "none") : undefined };
}

/** What follows each flag that takes the next word; a flag means the same on every command that has it. */
export function valuesByFlag(commands: readonly CommandWords[]): ReadonlyMap<string, ValueKind> {
  const values = new Map<string, ValueKind>();
  for (const { short, long, value } of commands.flatMap(({ flags }) => flags)) {
    if (value === undefined) continue;
    values.set(long, value);
    if (short !== undefined) values.set(short, value);
  }
  return values;
}

/** Flags that take the next word. */
export function valueFlags(commands: readonly CommandWords[]): string[] {
  return [...valuesByFlag(commands).keys()];
}
