// The engine for regular expressions of rules, loaded for the first of them: most rules have none, and it takes 2 MiB.
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

/** Linear time whatever pattern and input are: RE2. */
export function regexEngine(): typeof import("re2js").RE2JS {
  return (load("re2js") as typeof import("re2js")).RE2JS;
}
