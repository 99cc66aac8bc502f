// `npm start`: the shop from the keyboard. Flags, signals and what is printed; the work is in shop.ts.
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readFlags, type ShopSettings, USAGE, UsageError } from "./flags.ts";
import { failuresOf, renderCommands, renderFigures, renderFiguresLine, renderProcesses } from "./screen.ts";
import { Shop, ShopError } from "./shop.ts";

const REFRESH_MS = 1_000;
const PARENT_CHECK_MS = 250;
/** Of the programs that it starts: from sources, each spends 0.1 s of CPU more without. */
const COMPILE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/weft");
const DEFAULT_SERVER = "127.0.0.1:15010";

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const settings = readFlags(process.argv.slice(2));
    if (settings !== "help") return await run(settings);
    console.log(USAGE);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nnpm start -- --help says more.`);
    return 2;
  }
}

/** Up, watch, down. Whatever ends it (a signal, the time, a death), everything is ended before it returns. */
async function run(settings: ShopSettings): Promise<number> {
  const say = (text: string): void => {
    if (settings.json) process.stderr.write(`${text}\n`);
    else process.stdout.write(`${text}\n`);
  };
  const end = Promise.withResolvers<Error | undefined>();
  process.stdout.on("error", () => end.resolve(undefined));
  let shop: Shop | undefined;
  listenForSignals(
    () => end.resolve(undefined),
    () => shop?.kill(),
  );
  const ended = new AbortController();
  let failure: Error | undefined;
  try {
    shop = await Shop.prepare(settings, {
      onStep: say,
      onDeath: end.resolve,
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...withoutWeftVariables(process.env) },
      ...(settings.verbose ? { onLine: (name, line) => process.stderr.write(`${name}: ${line}\n`) } : {}),
    });
    failure = await Promise.race([live(shop, settings, say, ended.signal), end.promise]);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  ended.abort();
  if (failure !== undefined) console.error(failure instanceof ShopError ? failure.message : String(failure.message));
  await shop?.stop();
  if (shop !== undefined) sayGoodbye(shop, settings, say);
  return failure === undefined ? 0 : 1;
}

/** Starts the shop and shows its figures for as long as asked; resolves only when the time is over. */
async function live(
  shop: Shop,
  settings: ShopSettings,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<undefined> {
  await shop.start(signal);
  say(`\n${renderProcesses(shop.plan, (name) => shop.pidOf(name))}\n\n${renderCommands(commandsFor(shop))}\n`);
  if (settings.json) console.log(JSON.stringify(readyLine(shop)));
  const untilMs = performance.now() + (settings.runMs ?? Number.POSITIVE_INFINITY);
  const refreshed = process.stdout.isTTY && !settings.json;
  let linesAbove = 0;
  while (performance.now() < untilMs) {
    const pauseMs = refreshed ? REFRESH_MS : settings.everyMs;
    await sleep(Math.min(pauseMs, Math.max(1, untilMs - performance.now())), undefined, { signal });
    const figures = shop.figures();
    if (figures === undefined) continue;
    const state = { revision: await shop.revision(), release: await shop.release() };
    if (refreshed) linesAbove = redraw(renderFigures(figures, state), linesAbove);
    else say(renderFiguresLine(figures, state));
  }
  return undefined;
}

/** Draws a block over the one before it; returns how many lines it has. */
function redraw(lines: readonly string[], linesAbove: number): number {
  const up = linesAbove === 0 ? "" : `\x1b[${linesAbove}A\x1b[J`;
  const width = process.stdout.columns || 80;
  process.stdout.write(`${up}${lines.map((line) => line.slice(0, width - 1)).join("\n")}\n`);
  return lines.length;
}

/**
 * SIGINT, SIGTERM and SIGHUP end the shop in order; a second one at once. A signal to npm alone ends npm and its shell
 * and never comes here, so there the parent that is gone is the sign.
 */
function listenForSignals(first: () => void, second: () => void): void {
  if (process.env["npm_lifecycle_event"] !== undefined) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && first(), PARENT_CHECK_MS).unref();
  }
  let count = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      count++;
      if (count === 1) return first();
      second();
      process.exit(1);
    });
  }
}

/** What a person set for their own sidecar or CLI must not steer the shop's. */
function withoutWeftVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("WEFT_")));
}

function commandsFor(shop: Shop): string[] {
  const server = shop.plan.grpc === DEFAULT_SERVER ? "" : ` --server ${shop.plan.grpc}`;
  const rules = relative(process.cwd(), `${import.meta.dirname}/rules/orders-50-50.yaml`);
  return [
    `npx weft${server} rollout status payments --watch`,
    `npx weft${server} explain GET http://orders/ --from web`,
    `npx weft${server} apply -f ${rules} --wait`,
  ];
}

function readyLine(shop: Shop): Record<string, unknown> {
  const services = Object.fromEntries(
    shop.plan.services.map(({ name, ports }) => [name, { ...ports, pid: shop.pidOf(name) }]),
  );
  const { grpc, http } = shop.plan;
  return {
    ready: true,
    program: "shop",
    grpc,
    http,
    entry: shop.entry.href,
    data: shop.data,
    services,
    groups: shop.groups,
  };
}

function sayGoodbye(shop: Shop, settings: ShopSettings, say: (text: string) => void): void {
  const figures = shop.figures();
  say("everything is stopped");
  if (!settings.json || figures === undefined) return;
  const { sent, answered, broken, skipped } = figures;
  const summary = {
    sent,
    answered,
    broken,
    skipped,
    failed: failuresOf(figures),
    byVersion: Object.fromEntries(figures.byVersion),
    byStatus: Object.fromEntries(figures.byStatus),
  };
  console.log(JSON.stringify({ summary }));
}
