// What the control plane is asked for, its ready line, signals and exit codes. What it does is in bootstrap.ts.
import { flushCompileCache } from "node:module";
import { resolve } from "node:path";
import { systemClock } from "../runtime/clock.ts";
import {
  createProgram,
  dropEmptyVariables,
  EXIT_USAGE,
  flag,
  hostPortFlag,
  listFlag,
  parseFlags,
  pathFlag,
} from "../runtime/flags.ts";
import { createLog, LOG_LEVELS, type LogLevel } from "../runtime/log.ts";
import { usageOf } from "../runtime/process-figures.ts";
import { PROGRAM_VERSION } from "../runtime/version.ts";
import { StartError, startControlPlane } from "./bootstrap.ts";
import { StoreUnusableError } from "./store/contract.ts";
import { STORE_KINDS, type StoreKind } from "./store/open.ts";

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
    .addOption(flag("--data <dir>", "folder of the embedded store").argParser(pathFlag).default("./weft-data"))
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

function refuse(message: string, code: number): never {
  process.stderr.write(`${PROGRAM}: ${message}\n`);
  process.exit(code);
}

/** @param protoFolder where the .proto files are */
export async function run(protoFolder: string): Promise<void> {
  dropEmptyVariables(process.env);
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
    protoFolder,
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
  // Not at the end, which may be a SIGKILL, and before somebody is told to call, who would wait.
  flushCompileCache();
  process.stdout.write(`${JSON.stringify({ ...ready, revision, pid: process.pid })}\n`);
}
