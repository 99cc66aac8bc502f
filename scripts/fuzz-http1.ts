// Minutes of differential fuzzing of the HTTP/1.1 codec against llhttp (`npm run fuzz`): rounds with a new seed each,
// printed, until the time is over or a disagreement is found.
import fc from "fast-check";
import { checkRequests, checkResponse } from "../test/wire/differential.ts";
import { cuts, requestBytes, responseBytes } from "../test/wire/generate.ts";
import { numberOptions } from "./number-options.ts";

const ROUND_RUNS = 20_000;

const options = numberOptions("npm run fuzz -- [--seconds N] [--seed N]", {
  seconds: ["until no round begins any more", 120],
  seed: ["one round only, as it was printed", undefined],
});
const endsAt = performance.now() + (options.seconds ?? 0) * 1000;

async function agree(check: Promise<string | undefined>, bytes: Uint8Array): Promise<void> {
  const problem = await check;
  if (problem !== undefined) throw new Error(`${problem}\n${JSON.stringify(Buffer.from(bytes).toString("latin1"))}`);
}

async function round(seed: number): Promise<void> {
  const requests = fc.asyncProperty(requestBytes, cuts, (bytes, at) => agree(checkRequests(bytes, at), bytes));
  const responses = fc.asyncProperty(responseBytes, cuts, fc.constantFrom("GET", "HEAD"), (bytes, at, method) =>
    agree(checkResponse(bytes, at, method), bytes),
  );
  await fc.assert(requests, { seed, numRuns: ROUND_RUNS });
  await fc.assert(responses, { seed, numRuns: ROUND_RUNS });
}

let rounds = 0;
do {
  const seed = options.seed ?? (Date.now() ^ (rounds * 0x9e3779b1)) & 0x7fffffff;
  console.log(`round ${++rounds}, seed ${seed}`);
  await round(seed);
} while (options.seed === undefined && performance.now() < endsAt);
console.log(`${rounds * ROUND_RUNS} request streams and as many responses, no disagreement`);
