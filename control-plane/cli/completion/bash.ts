// The completion script for bash (3.2 and later; needs no bash-completion package).
import { type CommandWords, KIND_WORDS, OUTPUT_FORMATS, SHELLS, valueFlags, valuesByFlag } from "./words.ts";

export function bashScript(commands: readonly CommandWords[]): string {
  return `# bash completion for weft; load it with: source <(weft completion bash)
_weft_words() { COMPREPLY+=($(compgen -W "$1" -- "$cur")); }

# Names that only the control plane knows; flags that say where it is are passed on.
_weft_ask() {
  local names
  names=$(weft __complete "$@" --prefix="$cur" "\${passed[@]}" 2>/dev/null) && _weft_words "$names"
}

_weft_value() {
  case $1 in
    file) COMPREPLY+=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null ;;
    output) _weft_words "${OUTPUT_FORMATS.join(" ")}" ;;
    kind) _weft_words "${KIND_WORDS.join(" ")}" ;;
    shell) _weft_words "${SHELLS.join(" ")}" ;;
    name) _weft_ask documents "$kind" ;;
    service) _weft_ask services ;;
    namespace) _weft_ask namespaces ;;
    revision) _weft_ask revisions ;;
  esac
}

_weft() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command= kind= value= flags= word i count=0
  local -a passed=() positional=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      --server | -n | --namespace) passed+=("$word" "\${COMP_WORDS[i + 1]}"); ((i++)); continue ;;
      ${skippedFlags(commands).join(" | ")}) ((i++)); continue ;;
      -*) continue ;;
    esac
    if [[ -z $command ]]; then command=$word
    else
      ((count == 0)) && kind=$word
      ((count++))
    fi
  done
  value=$(_weft_flag_value "\${COMP_WORDS[COMP_CWORD - 1]}")
  if [[ -n $value ]]; then _weft_value "$value"; return; fi
  case $command in
    "") flags="${globalFlags(commands)} --version"; positional=(command) ;;
${commands.map(commandCase).join("\n")}
  esac
  if [[ $cur == -* ]]; then _weft_words "$flags"
  elif [[ \${positional[0]} == command ]]; then _weft_words "${commands.map(({ name }) => name).join(" ")} help"
  elif ((\${#positional[@]} > 0)); then
    ((count < \${#positional[@]})) || count=$((\${#positional[@]} - 1))
    _weft_value "\${positional[count]}"
  fi
}

_weft_flag_value() {
  case $1 in
${valueCases(commands).join("\n")}
  esac
}

complete -F _weft weft
`;
}

function commandCase({ name, flags, arguments: values }: CommandWords): string {
  const words = flags.flatMap(({ short, long }) => (short === undefined ? [long] : [long, short]));
  return `    ${name}) flags="${words.join(" ")}"; positional=(${values.join(" ")}) ;;`;
}

function globalFlags(commands: readonly CommandWords[]): string {
  const shared = (commands[0]?.flags ?? []).filter(({ long }) =>
    commands.every(({ flags }) => flags.some((flag) => flag.long === long)),
  );
  return shared.map(({ long }) => long).join(" ");
}

/** Flags that take the next word, without those that are passed on. */
function skippedFlags(commands: readonly CommandWords[]): string[] {
  return valueFlags(commands).filter((flag) => !["--server", "-n", "--namespace"].includes(flag));
}

function valueCases(commands: readonly CommandWords[]): string[] {
  return [...valuesByFlag(commands)].map(([flag, value]) => `    ${flag}) echo ${value} ;;`);
}
