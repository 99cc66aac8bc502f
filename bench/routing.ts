// Route lookup: what it costs with 10,000 routes on a service against 10. Both tables are asked for equally many
// different paths, so that the difference is the table's; rounds alternate, so that a slow moment hits both.
import type { RouteRule } from "../rules/resource.ts";
import { exact, prefix, request, routeRule } from "../rules/routing/fixtures.ts";
import type { RequestView } from "../rules/routing/request-view.ts";
import { compileRoutes, findRoute, type RouteTable } from "../rules/routing/table.ts";
import { systemClock } from "../runtime/clock.ts";
import { type Random, seededRandom } from "../runtime/random.ts";
import type { BenchOptions, BenchResult } from "./result.ts";
import { percentile } from "./result.ts";

const SMALL = 10;
const LARGE = 10_000;
const RATIO_MAX = 1.2;
/** Different requests per table. */
const REQUESTS = 1_000;
/** Some 3 ms: short rounds, so that both tables of a pair meet the same moment of the machine. */
const LOOKUPS_PER_ROUND = 20_000;
const ROUNDS = 301;
const WARM_UP_ROUNDS = 30;

interface Contender {
  readonly table: RouteTable;
  readonly views: readonly RequestView[];
  readonly nanoseconds: number[];
}

/**
 * Half exact paths, half prefixes, and the rule for everything else: what an API's routes look like. All names are
 * equally long, because longer paths cost more in a table of any size.
 */
function rulesOf(count: number): RouteRule[] {
  const rules = Array.from({ length: count - 1 }, (_, index) => {
    const path = `/api/v1/resource-${index.toString(36).padStart(3, "0")}/items`;
    return routeRule([index % 2 === 0 ? exact(path) : prefix(path)], { ruleIndex: index });
  });
  return [...rules, routeRule([prefix("/")], { ruleIndex: count - 1 })];
}

/** Requests over all routes alike: hits, paths below a prefix, and one in ten that only the last rule takes. */
function viewsOf(rules: readonly RouteRule[], random: Random): RequestView[] {
  return Array.from({ length: REQUESTS }, (_, number) => {
    const rule = rules[Math.floor(random.next() * (rules.length - 1))];
    const match = rule?.matches[0];
    const path = match?.path.value ?? "/";
    if (number % 10 === 0) return request(fresh(`/other${path}`));
    return request(fresh(match?.path.type === "Exact" ? path : `${path}/${number}/detail`));
  });
}

/** A string of its own, as a decoder makes them: not the rule's, and with no hash remembered. */
function fresh(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function contender(count: number, random: Random): Contender {
  const rules = rulesOf(count);
  return { table: compileRoutes(rules), views: viewsOf(rules, random), nanoseconds: [] };
}

/** Nanoseconds per lookup in one round. */
function measure({ table, views }: Contender, lookups: number): number {
  let found = 0;
  const start = systemClock.now();
  for (let number = 0; number < lookups; number += 1) {
    const view = views[number % REQUESTS];
    if (view !== undefined && findRoute(table, view) !== undefined) found += 1;
  }
  const elapsedMs = systemClock.now() - start;
  if (found !== lookups) throw new Error(`${lookups - found} lookups found no route`);
  return (elapsedMs * 1e6) / lookups;
}

/** Median lookups of both tables and their ratio. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const random = seededRandom(7);
  const small = contender(SMALL, random);
  const large = contender(LARGE, random);
  const lookups = Math.max(REQUESTS, Math.round(LOOKUPS_PER_ROUND * options.scale));
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) for (const one of [small, large]) measure(one, lookups);
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = round % 2 === 0 ? [small, large] : [large, small];
    for (const one of order) one.nanoseconds.push(measure(one, lookups));
  }
  const [smallNs, largeNs] = [percentile(small.nanoseconds, 50), percentile(large.nanoseconds, 50)];
  const ratios = large.nanoseconds.map((nanoseconds, round) => nanoseconds / (small.nanoseconds[round] ?? Number.NaN));
  const detail = `median of ${ROUNDS} rounds of ${lookups} lookups over ${REQUESTS} different paths`;
  options.note(`${SMALL} routes ${smallNs.toFixed(1)} ns, ${LARGE} routes ${largeNs.toFixed(1)} ns`);
  return {
    bench: "routing",
    title: "Path lookup in a service's route table, by number of routes.",
    figures: [
      { name: `lookup with ${SMALL} routes`, value: smallNs, unit: "ns", detail },
      { name: `lookup with ${LARGE} routes`, value: largeNs, unit: "ns", detail },
      {
        name: `${LARGE} routes against ${SMALL}`,
        value: percentile(ratios, 50),
        unit: "ratio",
        target: { kind: "at-most", value: RATIO_MAX },
        detail: `median of the ratios of ${ROUNDS} pairs of rounds`,
      },
    ],
  };
}
