// The completion script for fish: one `complete` line per word.
import type { ValueKind } from "../command.ts";
import { type CommandWords, type FlagWords, KIND_WORDS, OUTPUT_FORMATS, SHELLS } from "./words.ts";

const VALUES: Readonly<Record<ValueKind, string>> = {
  file: "-rF",
  output: `-xa ${quoted(OUTPUT_FORMATS.join(" "))}`,
  kind: `-xa ${quoted(KIND_WORDS.join(" "))}`,
  shell: `-xa ${quoted(SHELLS.join(" "))}`,
  name: "-xa '(__weft_names)'",
  service: "-xa '(__weft_ask services)'",
  namespace: "-xa '(__weft_ask namespaces)'",
  revision: "-xa '(__weft_ask revisions)'",
  none: "-x",
};

export function fishScript(commands: readonly CommandWords[]): string {
  return `# fish completion for weft; save it as ~/.config/fish/completions/weft.fish

# Names that only the control plane knows; flags that say where it is are passed on.
function __weft_ask
    set -l words (commandline -opc)
    set -l passed
    for i in (seq 2 (count $words))
        if contains -- $words[$i] --server -n --namespace
            set -a passed $words[$i] $words[(math $i + 1)]
        end
    end
    weft __complete $argv --prefix=(commandline -ct) $passed 2>/dev/null
end

function __weft_names
    for word in (commandline -opc)
        if contains -- (string lower -- $word) ${KIND_WORDS.join(" ")}
            __weft_ask documents $word
            return
        end
    end
end

function __weft_needs_kind
    not string match -qir '^(${KIND_WORDS.join("|")})$' -- (commandline -opc)
end

complete -c weft -f
${commands
  .map(({ name, summary }) => `complete -c weft -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`)
  .join("\n")}
${commands.flatMap(commandLines).join("\n")}
`;
}

function commandLines(command: CommandWords): string[] {
  const condition = `__fish_seen_subcommand_from ${command.name}`;
  return [
    ...command.flags.map((flag) => flagLine(condition, flag)),
    ...command.arguments
      .filter((value) => value !== "none")
      .map((value) => `complete -c weft -n ${quoted(argumentCondition(condition, value))} ${VALUES[value]}`),
  ];
}

function flagLine(condition: string, { short, long, help, value }: FlagWords): string {
  const names = `${short === undefined ? "" : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  const tail = value === undefined ? "" : ` ${VALUES[value]}`;
  return `complete -c weft -n ${quoted(condition)} ${names}${tail} -d ${quoted(help)}`;
}

function argumentCondition(condition: string, value: ValueKind): string {
  if (value === "kind") return `${condition}; and __weft_needs_kind`;
  return value === "name" ? `${condition}; and not __weft_needs_kind` : condition;
}

function quoted(text: string): string {
  return `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
}
