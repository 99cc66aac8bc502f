// The commands about the CLI itself.
import type { CommandSpec } from "./command.ts";

export const TOOL_COMMANDS: readonly CommandSpec[] = [
  {
    name: "completion",
    group: "Tools",
    summary: "Print a completion script for a shell",
    arguments: [{ syntax: "<shell>", help: "bash, zsh or fish", values: "shell" }],
    examples: [
      ["source <(weft completion bash)", "this bash session; add the line to ~/.bashrc for all"],
      ["weft completion zsh > ~/.zfunc/_weft", "zsh, with ~/.zfunc in fpath"],
      ["weft completion fish > ~/.config/fish/completions/weft.fish", "fish"],
    ],
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  {
    name: "version",
    group: "Tools",
    summary: "Print the versions of the CLI and of the control plane",
    options: [{ flags: "--client", help: "the CLI's version only; needs no control plane" }],
    examples: [["weft version -o json", "for programs"]],
    load: async () => (await import("./commands/version.ts")).version,
  },
  {
    name: "__complete",
    group: "Tools",
    summary: "Print names for a completion script",
    hidden: true,
    arguments: [{ syntax: "[what...]", help: "documents KIND, services, namespaces or revisions", values: "none" }],
    options: [{ flags: "--prefix <text>", help: "only names that begin so", values: "none" }],
    examples: [],
    load: async () => (await import("./commands/complete.ts")).complete,
  },
];
