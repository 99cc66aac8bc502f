// Compiles rules in a process of their own that ends when it has: the schemas of the rule language and the YAML parser
// take 12 MiB that a sidecar needs for a moment after a change, and to compile a thousand routes takes a fifth of a second in
// which no request would move. What compiling does is rule-set.ts.
import { fork } from "node:child_process";
import { extname, join } from "node:path";
import type { SourceText } from "../../../rules/load.ts";
import type { RuleSet } from "./rule-set.ts";

/** Beside this file, with the extension that this file has: sources and compiled code alike. */
const ENTRY = join(import.meta.dirname, `main${extname(import.meta.filename)}`);

export interface CompileOrder {
  readonly sources: readonly SourceText[];
  /** `namespace/name` of the services that the sidecar stands beside an instance of, at least one. */
  readonly own: readonly string[];
}

/** Rejects when the process cannot be started or ends without an answer, which no rule text should make it. */
export function compileRules(order: CompileOrder): Promise<RuleSet> {
  return new Promise((settle, fail) => {
    const child = fork(ENTRY, [], { serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"] });
    child.once("message", (ruleSet) => settle(ruleSet as RuleSet));
    child.once("error", fail);
    child.once("exit", (code, signal) => fail(new Error(`the process that compiles them ended (${code ?? signal})`)));
    child.send(order, () => {}); // one that has ended already is told by its exit
  });
}
