// The completion script for zsh: one _arguments call per command.
import type { ValueKind } from "../command.ts";
import { type CommandWords, type FlagWords, KIND_WORDS, OUTPUT_FORMATS, SHELLS } from "./words.ts";

const ACTIONS: Readonly<Record<ValueKind, string>> = {
  file: "_files",
  output: `(${OUTPUT_FORMATS.join(" ")})`,
  kind: `(${KIND_WORDS.join(" ")})`,
  shell: `(${SHELLS.join(" ")})`,
  name: "_weft_names",
  service: "_weft_services",
  namespace: "_weft_namespaces",
  revision: "_weft_revisions",
  none: "",
};

export function zshScript(commands: readonly CommandWords[]): string {
  return `#compdef weft
# zsh completion for weft; save it as _weft in a directory of $fpath

_weft_ask() {
  local -a names passed
  local i
  # Flags that say where the control plane is are passed on.
  for ((i = 2; i < \${#weft_words}; i++)); do
    case \${weft_words[i]} in
      --server|-n|--namespace) passed+=("\${weft_words[i]}" "\${weft_words[i+1]}") ;;
    esac
  done
  names=(\${(f)"$(weft __complete "$@" --prefix="$PREFIX" "\${passed[@]}" 2>/dev/null)"})
  compadd -a names
}
_weft_names() { _weft_ask documents "\${line[1]}" }
_weft_services() { _weft_ask services }
_weft_namespaces() { _weft_ask namespaces }
_weft_revisions() { _weft_ask revisions }

_weft() {
  local curcontext=$curcontext state line
  local -a weft_words commands
  typeset -A opt_args
  weft_words=("\${words[@]}")
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(summary)}`)}`).join("\n")}
  )
  _arguments -C '1: :->command' '*:: :->arguments' && return
  case $state in
    command) _describe command commands ;;
    arguments)
      case \${words[1]} in
${commands.map(commandCase).join("\n")}
      esac ;;
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _weft "$@"; else compdef _weft weft; fi
`;
}

function commandCase({ name, flags, arguments: values }: CommandWords): string {
  const lines = [
    ...flags.flatMap(flagSpecs),
    ...values.map((value, index) => argumentSpec(value, index, values.length)),
  ];
  return `        ${name}) _arguments ${lines.map((line) => `\\\n          ${quoted(line)}`).join(" ")} ;;`;
}

/** Flags may be repeated (`*`): the parser takes the last, or all of them. */
function flagSpecs({ short, long, help, value }: FlagWords): string[] {
  const note = `[${escaped(help)}]`;
  if (value === undefined) return [long, short].filter((flag) => flag !== undefined).map((flag) => `*${flag}${note}`);
  const tail = `: :${ACTIONS[value]}`;
  return [`*${long}=${note}${tail}`, ...(short === undefined ? [] : [`*${short}${note}${tail}`])];
}

function argumentSpec(value: ValueKind, index: number, count: number): string {
  const place = index === count - 1 && value === "name" ? "*" : String(index + 1);
  return `${place}: :${ACTIONS[value]}`;
}

function escaped(text: string): string {
  return text.replace(/[[\]:]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}
