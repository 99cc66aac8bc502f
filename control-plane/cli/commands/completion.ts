// weft completion: the script that teaches a shell to complete weft's words.
import type { Invocation } from "../command.ts";
import { bashScript } from "../completion/bash.ts";
import { fishScript } from "../completion/fish.ts";
import { type CommandWords, commandWords, SHELLS, type ShellName } from "../completion/words.ts";
import { zshScript } from "../completion/zsh.ts";
import { EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { didYouMean } from "../kinds.ts";

const SCRIPTS: Readonly<Record<ShellName, (commands: readonly CommandWords[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export async function completion(invocation: Invocation): Promise<ExitCode> {
  const [word = ""] = invocation.args;
  const name = SHELLS.find((shell) => shell === word);
  if (name === undefined) {
    throw usageFailure(`unknown shell "${word}"; expected ${SHELLS.join(", ")}${didYouMean(word, SHELLS)}`);
  }
  invocation.shell.stdout.write(SCRIPTS[name](commandWords(invocation.commands)));
  return EXIT.done;
}
