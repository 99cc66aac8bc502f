// The completion script for fish: one `complete` line per word.
import type { ValueKind } from "../command.ts";
import { type CommandWords, type FlagWords, KIND_WORDS, OUTPUT_FORMATS, SHELLS, valueFlags } from "./words.ts";

const VALUES: Readonly<Record<ValueKind, string>> = {
  file: "-rF",
  output: `-xa ${quoted(OUTPUT_FORMATS.join(" "))}`,
  kind: `-xa ${quoted(KIND_WORDS.join(" "))}`,
  shell: `-xa ${quoted(SHELLS.join(" "))}`,
  name: "-xa '(__weft_ask documents (__weft_words)[2])'",
  service: "-xa '(__weft_ask services)'",
  namespace: "-xa '(__weft_ask namespaces)'",
  revision: "-xa '(__weft_ask revisions)'",
  none: "-x",
};

export function fishScript(commands: readonly CommandWords[]): string {
  return `# fish completion for weft; save it as ~/.config/fish/completions/weft.fish

# The words before the cursor that are neither flags nor their values: command, kind, names.
function __weft_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${valueFlags(commands).join(" ")}
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# Whether the command is argv[1] and as many words stand after it as argv[2] says (with "+": or more).
function __weft_at
    set -l words (__weft_words)
    test "$words[1]" = $argv[1]; or return 1
    test (count $argv) -lt 2; and return 0
    set -l after (math (count $words) - 1)
    switch $argv[2]
        case '*+'
            test $after -ge (string trim -c + $argv[2])
        case '*'
            test $after = $argv[2]
    end
end

function __weft_needs_command
    test (count (__weft_words)) = 0
end

# Names that only the control plane knows; flags that say where it is are passed on.
function __weft_ask
    set -l words (commandline -opc)
    set -l passed
    for i in (seq 2 (count $words))
        if contains -- $words[$i] --server -n --namespace; and test $i -lt (count $words)
            set -a passed $words[$i] $words[(math $i + 1)]
        end
    end
    weft __complete $argv --prefix=(commandline -ct | string collect -a) $passed 2>/dev/null
end

complete -c weft -f
${commands
  .map(({ name, summary }) => `complete -c weft -n __weft_needs_command -a ${name} -d ${quoted(summary)}`)
  .join("\n")}
${commands.flatMap(commandLines).join("\n")}
`;
}

function commandLines(command: CommandWords): string[] {
  const last = command.arguments.length - 1;
  return [
    ...command.flags.map((flag) => flagLine(`__weft_at ${command.name}`, flag)),
    ...command.arguments.flatMap((value, index) => {
      if (value === "none") return [];
      const place = `${index}${index === last && value === "name" ? "+" : ""}`;
      return [`complete -c weft -n ${quoted(`__weft_at ${command.name} ${place}`)} ${VALUES[value]}`];
    }),
  ];
}

function flagLine(condition: string, { short, long, help, value }: FlagWords): string {
  const names = `${short === undefined ? "" : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  const tail = value === undefined ? "" : ` ${VALUES[value]}`;
  return `complete -c weft -n ${quoted(condition)} ${names}${tail} -d ${quoted(help)}`;
}

function quoted(text: string): string {
  return `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
}
