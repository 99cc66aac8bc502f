// Collects garbage when it is told to, and not by V8's own reckoning. Not with `--expose-gc` on the command line: with it V8
// takes what was compiled when Node was built for another program's, and compiles Node's own modules again, which is 45 ms
// of CPU at each start.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Everything that can be, now, and gives it back to the system. */
const COLLECT = 'gc({ type: "major", execution: "sync", flavor: "last-resort" })';

/** Stands still for as long as it takes: 20 to 80 ms. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  // Only a context that is made while the flag is set has the function.
  runInNewContext(COLLECT);
  setFlagsFromString("--no-expose-gc");
}
