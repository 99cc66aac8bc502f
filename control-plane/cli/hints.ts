// What a person most likely meant who typed what is no usage: a word where a flag belongs, or the habits of kubectl,
// istioctl and linkerd. Lines for under an error; they never change what is done.

/** A word that stands alone is meant for this flag. */
const FLAG_OF_BARE_WORDS: Readonly<Record<string, string>> = {
  apply: "-f",
  diff: "-f",
  validate: "-f",
  rollback: "--to",
  "rollout start": "-f",
  "rollout promote": "--step",
  "rollout resume": "--step",
  "rollout history": "--limit",
};

/** Who lists all and named one. */
const OF_ONE: Readonly<Record<string, string>> = { services: "weft describe service", sidecars: "weft endpoints" };

/** Words shown of a line that may be a whole directory (`weft apply *.yaml`). */
const WORDS_SHOWN_MAX = 3;

/** @param words of a line, of which there may be many */
export function shownWords(words: readonly string[]): string {
  return [...words.slice(0, WORDS_SHOWN_MAX), ...(words.length > WORDS_SHOWN_MAX ? ["..."] : [])].join(" ");
}

/** @param line a command, perhaps one of its actions and a name @param words that are too many behind it */
export function hintForWords(line: readonly string[], words: readonly string[]): string[] {
  const [command = "", action = ""] = line;
  const flag = lookUp(FLAG_OF_BARE_WORDS, command === "rollout" ? `${command} ${action}` : command);
  const before = ["weft", ...line].join(" ");
  if (flag === "-f") return meant(`${before} ${shownWords(words.map((word) => `-f ${word}`))}`);
  const [word = ""] = words;
  if (flag !== undefined) return /^\d+$/.test(word) ? meant(`${before} ${flag} ${word}`) : [];
  const one = lookUp(OF_ONE, command);
  return one === undefined ? [] : meant(`${one} ${word}`);
}

/** Words that are rules, not names. */
export function looksLikeFile(word: string): boolean {
  return word === "-" || /^\.{0,2}\//.test(word) || /\.(ya?ml|json)$/.test(word);
}

const COMMANDS: Readonly<Record<string, string>> = {
  ...{ create: "weft apply -f FILE", replace: "weft apply -f FILE", patch: "weft apply -f FILE" },
  edit: "weft get KIND NAME -o yaml > FILE, and weft apply -f FILE",
  ...{ undo: "weft rollback --to REVISION", revisions: "weft history", "api-resources": "weft schema" },
  ...{ analyze: "weft validate -f FILE, and weft check", lint: "weft validate -f FILE" },
  ...{ status: "weft check, or weft rollout status", ps: "weft sidecars", "proxy-status": "weft sidecars" },
  ...{ "proxy-config": "weft explain METHOD URL", pc: "weft explain METHOD URL" },
  ...{ stat: "weft top", routes: "weft top --by route", edges: "weft top --by source" },
  ...{ logs: "weft tap SERVICE", log: "weft tap SERVICE", trace: "weft explain --trace ID" },
};

/** @param words of the line, from an unknown command on @param actions of `weft rollout` */
export function hintForCommand(words: readonly string[], actions: readonly string[]): string[] {
  const [word = ""] = words;
  const here = lookUp(COMMANDS, word);
  return meant(here ?? (actions.includes(word) ? `weft rollout ${words.join(" ")}` : undefined));
}

/** Things that are listed by commands of their own, because nobody applies them. */
const NOUNS: Readonly<Record<string, string>> = {
  ...{ pod: "weft sidecars", pods: "weft sidecars", sidecar: "weft sidecars", sidecars: "weft sidecars" },
  ...{ endpoint: "weft endpoints", endpoints: "weft endpoints", ep: "weft endpoints" },
  ...{ deployment: "weft services", deployments: "weft services", deploy: "weft services" },
  ...{ revision: "weft history", revisions: "weft history", events: "weft rollout history" },
};

/** @param word where a kind belongs */
export function hintForKind(word: string): string[] {
  const noun = lookUp(NOUNS, word.toLowerCase());
  return noun === undefined ? ["documents are named by kind and name: KIND NAME"] : meant(noun);
}

const FLAGS: Readonly<Record<string, string>> = {
  ...{ "--to-revision": "--to", "--revision": "--to", "--file": "--filename", "--files": "--filename" },
  ...{ "--weight": "--steps", "--weights": "--steps", "--follow": "--watch" },
  ...{ "-s": "--server", "--context": "--server", "--kubeconfig": "--server", "--address": "--server" },
};

/** @param flag that is unknown, perhaps with its value @param known flags of the command, with two dashes */
export function hintForFlag(command: string, flag: string, known: readonly string[]): string[] {
  const [name = "", value] = flag.split("=");
  if (value !== undefined && known.includes(name)) return [`${name} takes no value`];
  if (command === "apply" && (name === "-k" || name === "--kustomize"))
    return meant("kustomize build DIR | weft apply -f -");
  const flagHere = lookUp(FLAGS, name);
  return flagHere !== undefined && known.includes(flagHere) ? meant(flagHere) : [];
}

/** @param args of `weft rollout`, the first of which is no action */
export function hintForAction([word = "", name = ""]: readonly string[], actions: readonly string[]): string[] {
  if (actions.includes(name)) return meant(`weft rollout ${name} ${word}`);
  const named = name === "" ? "" : ` ${name}`;
  if (word === "undo")
    return [
      `to take back one that goes on: weft rollout abort${named}`,
      `to take back one that was promoted: see the end of weft rollout status${named}`,
    ];
  return word === "get" || word === "describe" ? meant(`weft rollout status${named}`) : [];
}

/** @param args of `weft explain`, too few or the wrong way round @param isKind is a word a kind of documents? */
export function hintForExplain(
  [first = "", second = ""]: readonly string[],
  isKind: (word: string) => boolean,
): string[] {
  if (isKind(first)) return [`the fields of a kind are told by: weft schema ${first}`];
  if (second !== "" && !second.includes("/")) return meant(`weft explain ${second} ${first}`);
  return second === "" && /[/:]/.test(first) ? meant(`weft explain GET ${first}`) : [];
}

function meant(command: string | undefined): string[] {
  return command === undefined ? [] : [`did you mean: ${command}`];
}

/** Words are typed by people: `constructor` is in no table. */
function lookUp(table: Readonly<Record<string, string>>, word: string): string | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
