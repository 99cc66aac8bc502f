// The flags of `npm start`: text in, typed settings or a message out.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { parseDuration } from "../../rules/durations.ts";
import { parseHostPort } from "../../runtime/address.ts";
import { PORT_BASE_MAX } from "./plan.ts";

export interface ShopSettings {
  readonly grpc: string;
  readonly http: string;
  readonly portBase: number;
  /** Every port is one that is free, not a fixed one. */
  readonly freePorts: boolean;
  /** Where the control plane keeps its rules; undefined means a temporary folder. */
  readonly data: string | undefined;
  readonly rules: string;
  /** The release to start with; undefined means none. */
  readonly release: string | undefined;
  readonly requestsPerSecond: number;
  /** How long to run; undefined means until told to stop. */
  readonly runMs: number | undefined;
  readonly everyMs: number;
  readonly json: boolean;
  readonly verbose: boolean;
}

export class UsageError extends Error {}

export const USAGE = `Starts Weft's example shop: a control plane, web -> orders (v1, v2) -> payments (v1, and v2 as a canary) with a sidecar each, and a
load generator. Ctrl-C ends all of it.

  npm start -- [flags]

  --port-base PORT   first port of the shop's services (default 15100)
  --grpc HOST:PORT   control plane, gRPC (default 127.0.0.1:15010)
  --http HOST:PORT   control plane, HTTP (default 127.0.0.1:15014)
  --ports 0          any free ports instead of these
  --data DIR         keep the rules there (default: a temporary folder, deleted at the end)
  --rules PATH       what to apply at the start (default examples/shop/rules/shop.yaml)
  --release PATH     the release to start with, or off (default examples/shop/rules/payments-release.yaml)
  --rate N           requests per second (default 50; 0 sends none)
  --for DURATION     stop after this time, such as 30s
  --every DURATION   how often to print a line when the output is not a terminal (default 5s)
  --json             stdout is JSON: a ready line, and a summary at the end
  --verbose          show the programs' logs
  --help             this text`;

const OPTIONS = {
  "port-base": { type: "string", default: "15100" },
  grpc: { type: "string", default: "127.0.0.1:15010" },
  http: { type: "string", default: "127.0.0.1:15014" },
  ports: { type: "string" },
  data: { type: "string" },
  rules: { type: "string" },
  release: { type: "string", default: `${import.meta.dirname}/rules/payments-release.yaml` },
  rate: { type: "string", default: "50" },
  for: { type: "string" },
  every: { type: "string", default: "5s" },
  json: { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const RATE_MAX = 5_000;

/**
 * Reads the flags; "help" when they ask for it.
 * @throws UsageError in words for a person.
 */
export function readFlags(args: readonly string[]): ShopSettings | "help" {
  const values = parse(args);
  if (values.help) return "help";
  if (values.ports !== undefined && values.ports !== "0")
    throw new UsageError(`--ports ${values.ports}: expected 0, which means any free ports (see --port-base)`);
  return {
    grpc: address("grpc", values.grpc),
    http: address("http", values.http),
    portBase: integer("port-base", values["port-base"], 1, PORT_BASE_MAX),
    freePorts: values.ports === "0",
    data: values.data === undefined ? undefined : resolve(values.data),
    rules: resolve(values.rules ?? `${import.meta.dirname}/rules/shop.yaml`),
    release: values.release === "off" ? undefined : resolve(values.release),
    requestsPerSecond: integer("rate", values.rate, 0, RATE_MAX),
    runMs: values.for === undefined ? undefined : duration("for", values.for),
    everyMs: duration("every", values.every),
    json: values.json,
    verbose: values.verbose,
  };
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"] {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function address(flag: string, text: string): string {
  const parsed = parseHostPort(text);
  if (parsed === undefined || parsed.port === 0)
    throw new UsageError(`--${flag} ${text}: expected HOST:PORT, such as 127.0.0.1:15010`);
  return text;
}

function integer(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`--${flag} ${text}: expected a whole number from ${min} to ${max}`);
  return value;
}

function duration(flag: string, text: string): number {
  const valueMs = parseDuration(text);
  if (valueMs === undefined || valueMs <= 0)
    throw new UsageError(`--${flag} ${text}: expected a time such as 30s or 1m30s`);
  return valueMs;
}
