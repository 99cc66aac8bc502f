// The process that compiles rules: started by rule-compiler.ts, it gets the texts, answers once, and ends with everything
// that it loaded. A sidecar that is gone ends it by closing the channel.
import type { CompileOrder } from "./rule-compiler.ts";
import { compileRuleSet } from "./rule-set.ts";

process.once("message", (message) => {
  const { sources, own } = message as CompileOrder;
  process.send?.(compileRuleSet(sources, own), undefined, undefined, () => process.exit());
});
