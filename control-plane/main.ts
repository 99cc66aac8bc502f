#!/usr/bin/env node
// weft-control-plane: flags, the ready line, signals and exit codes. What it does is in bootstrap.ts. Loads everything else
// after the compile cache is on, which halves the start-up time from the second run on.
import { existsSync } from "node:fs";
import { enableCompileCache, flushCompileCache } from "node:module";
import { join, resolve } from "node:path";
import type { LogLevel } from "../runtime/log.ts";
import type { StoreKind } from "./store/open.ts";

enableCompileCache();
const { systemClock } = await import("../runtime/clock.ts");
const { createProgram, EXIT_USAGE, flag, hostPortFlag, listFlag, parseFlags } = await import("../runtime/flags.ts");
const { createLog, LOG_LEVELS } = await import("../runtime/log.ts");
const { usageOf } = await import("../runtime/process-figures.ts");
const { PROGRAM_VERSION } = await import("../runtime/version.ts");
const { StartError, startControlPlane } = await import("./bootstrap.ts");
const { StoreUnusableError } = await import("./store/contract.ts");
const { STORE_KINDS } = await import("./store/open.ts");

const PROGRAM = "weft-control-plane";

interface Flags {
  readonly data: string;
  readonly grpc: string;
  readonly http: string;
  readonly store: StoreKind;
  readonly etcdEndpoints: readonly string[] | undefined;
  readonly logLevel: LogLevel;
}

function program() {
  return createProgram({
    name: PROGRAM,
    summary: "Keeps the rules of a Weft mesh and pushes them to its sidecars.",
    version: PROGRAM_VERSION,
    examples: [
      { command: PROGRAM, does: "rules in ./weft-data, gRPC on 127.0.0.1:15010, HTTP on 127.0.0.1:15014" },
      {
        command: `${PROGRAM} --data /var/lib/weft --grpc 0.0.0.0:15010`,
        does: "for sidecars on other machines",
      },
      {
        command: `${PROGRAM} --grpc 127.0.0.1:0 --http 127.0.0.1:0`,
        does: "on free ports, which the ready line tells",
      },
    ],
  })
    .addOption(flag("--data <dir>", "folder of the embedded store").default("./weft-data"))
    .addOption(
      flag("--grpc <host:port>", "where sidecars and the CLI connect")
        .argParser(hostPortFlag)
        .default("127.0.0.1:15010"),
    )
    .addOption(
      flag("--http <host:port>", "metrics, health and status page").argParser(hostPortFlag).default("127.0.0.1:15014"),
    )
    .addOption(flag("--store <kind>", "where rules are kept").choices(STORE_KINDS).default("sqlite"))
    .addOption(flag("--etcd-endpoints <urls>", "comma-separated, for --store etcd").argParser(listFlag))
    .addOption(flag("--log-level <level>", "how much goes to stderr").choices(LOG_LEVELS).default("info"));
}

/** The .proto files: beside the sources, and beside the sources' folder in a published build. */
function findProtoFolder(): string {
  const candidates = ["../proto", "../../proto"].map((folder) => resolve(import.meta.dirname, folder));
  return candidates.find((folder) => existsSync(join(folder, "weft/v1/rules.proto"))) ?? candidates[0] ?? "proto";
}

function refuse(message: string, code: number): never {
  process.stderr.write(`${PROGRAM}: ${message}\n`);
  process.exit(code);
}

async function main(): Promise<void> {
  const parsed = parseFlags<Flags>(program(), process.argv.slice(2));
  if (parsed.outcome === "exit") process.exit(parsed.code);
  const { data, grpc, http, store, etcdEndpoints, logLevel } = parsed.flags;
  if (store === "etcd") refuse("--store etcd is not available in this version; use --store sqlite", EXIT_USAGE);
  if (etcdEndpoints !== undefined) refuse("--etcd-endpoints is only for --store etcd", EXIT_USAGE);
  const log = createLog(PROGRAM, logLevel);
  const settings = {
    data,
    grpc,
    http,
    store,
    pid: process.pid,
    protoFolder: findProtoFolder(),
    usage: usageOf(process),
  };
  const running = await startControlPlane(settings, systemClock, log).catch((error: unknown) => {
    if (error instanceof StartError || error instanceof StoreUnusableError) refuse(error.message, 1);
    throw error;
  });
  let isStopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, "stopping; a second signal ends at once");
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal({ err: error }, "could not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  const { grpc: grpcAddress, http: httpAddress, revision } = running;
  const ready = { ready: true, program: PROGRAM, grpc: grpcAddress, http: httpAddress, data: resolve(data) };
  process.stdout.write(`${JSON.stringify({ ...ready, revision, pid: process.pid })}\n`);
  // Now and not at the end, which may be a SIGKILL.
  flushCompileCache();
}

await main();
