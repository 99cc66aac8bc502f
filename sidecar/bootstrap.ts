// Flags and environment of weft-sidecar -> typed settings with every default decided. Starts nothing.
import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import { formatDuration, parseDuration } from "../rules/durations.ts";
import { type HostPort, parseHostPort } from "../runtime/address.ts";
import {
  createProgram,
  EXIT_USAGE,
  flag,
  hostPortFlag,
  hostPortOrOffFlag,
  keyValueFlag,
  parseFlags,
  pathFlag,
} from "../runtime/flags.ts";
import { LOG_LEVELS, type LogLevel } from "../runtime/log.ts";
import { PROGRAM_VERSION } from "../runtime/version.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "./http1/limits.ts";
import { type DataPathLimits, DEFAULT_LIMITS } from "./limits.ts";
import { type TcpFlag, type TcpListen, tcpContradiction, tcpFlag, tcpListens } from "./tcp-flag.ts";

/** How a sidecar was asked to run. Undefined listeners are off. */
export interface SidecarSettings {
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: string;
  /** Undefined: made of service, version and address. */
  readonly id: string | undefined;
  /** Where the service itself listens; undefined for a client that nobody calls. */
  readonly app: HostPort | undefined;
  readonly source: ConfigurationSource;
  readonly outbound: HostPort | undefined;
  readonly inbound: HostPort | undefined;
  /** Local ports of services of bytes. */
  readonly tcp: readonly TcpListen[];
  readonly admin: HostPort | undefined;
  readonly status: HostPort | undefined;
  /** Undefined: chosen when the inbound listener is bound. */
  readonly advertise: HostPort | undefined;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** Processes that carry the traffic; 1: this one alone. */
  readonly concurrency: number;
  /** What was asked for; the rest are the data path's defaults. */
  readonly limits: Partial<DataPathLimits>;
  readonly http1Limits: Partial<Http1Limits>;
  /** The app to start, as a command line; empty for none. */
  readonly command: readonly string[];
}

/** Where the configuration comes from: one of the two, never both. */
export type ConfigurationSource =
  | { readonly type: "control-plane"; readonly address: HostPort; readonly cacheFile: string | undefined }
  | { readonly type: "rules"; readonly path: string };

export type Bootstrap =
  | { readonly outcome: "run"; readonly settings: SidecarSettings }
  /** Help was printed, or (with a message) the command line makes no sense. */
  | { readonly outcome: "exit"; readonly code: number; readonly message: string };

interface Flags {
  readonly service?: string;
  readonly namespace: string;
  readonly version: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly zone: string;
  readonly id?: string;
  readonly app?: string;
  readonly controlPlane?: string;
  readonly outbound: string;
  readonly inbound?: string;
  readonly tcp?: readonly TcpFlag[];
  readonly admin: string;
  readonly status: string;
  readonly advertise?: string;
  readonly cache?: string;
  readonly rules?: string;
  readonly drain: number;
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  readonly headerTimeout: number;
  readonly bodyIdleTimeout: number;
  readonly clientIdleTimeout: number;
  readonly tunnelIdleTimeout: number;
  readonly maxClientConnections: number;
  readonly maxStartLineBytes: number;
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

const CONTROL_PLANE_DEFAULT = "127.0.0.1:15010";
const INBOUND_DEFAULT = "0.0.0.0:15006";

/** Past it the parent's work per process would be more than another one brings. */
const CONCURRENCY_MAX = 64;
/** What is held per connection while a head arrives stays under a few MiB. */
const HEAD_BYTES_MAX = 1024 * 1024;
const FIELDS_MAX = 10_000;

/** DNS label (RFC 1123), as names of services and namespaces are in Kubernetes. */
const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const VERSION = /^[A-Za-z0-9](?:[-A-Za-z0-9._]{0,61}[A-Za-z0-9])?$/;
/** What ends up in logs, metrics and tables. */
const WORKLOAD_ID = /^[\x21-\x7e]{1,253}$/;

const EXAMPLES = [
  {
    command: "weft-sidecar --service orders --version v1 --app 127.0.0.1:8080",
    does: "beside the service orders, which listens on 8080; the control plane is at 127.0.0.1:15010",
  },
  {
    command: "weft-sidecar --service web --app 127.0.0.1:8080 --cache /var/lib/weft/web.cache -- node web.js",
    does: "starts the app when the configuration is loaded, stops after it, exits with its exit code",
  },
  {
    command: "weft-sidecar --service load --outbound 127.0.0.1:0 --admin off --status off",
    does: "for a client that calls services and is called by none, on any free port",
  },
  {
    command: "weft-sidecar --service web --rules ./rules",
    does: "without a control plane: rules from a folder, read again when they change",
  },
];

/** Reads `argv` (without node and script) and the environment. */
export function bootstrap(argv: readonly string[]): Bootstrap {
  const separator = argv.indexOf("--");
  const ownArguments = separator < 0 ? argv : argv.slice(0, separator);
  const command = separator < 0 ? [] : argv.slice(separator + 1);
  const parsed = parseFlags<Flags>(program(), ownArguments);
  if (parsed.outcome === "exit") return { ...parsed, message: "" };
  if (separator >= 0 && command.length === 0) return misuse("-- must be followed by the command that starts the app");
  const { flags } = parsed;
  const problem = contradiction(flags);
  return problem === undefined ? { outcome: "run", settings: settings(flags, command) } : misuse(problem);
}

function misuse(problem: string): Bootstrap {
  return { outcome: "exit", code: EXIT_USAGE, message: `error: ${problem}\n(see weft-sidecar --help)` };
}

function program(): Command {
  const command = createProgram({
    name: "weft-sidecar",
    summary: "The proxy beside one service. Calls of the app go out through it, calls of others come in through it.",
    version: PROGRAM_VERSION,
    versionFlag: "--program-version",
    examples: EXAMPLES,
  })
    .usage("--service NAME [--app HOST:PORT] [flags] [-- COMMAND ...]")
    .addOption(flag("--service <name>", "the service beside this sidecar (required)").argParser(nameFlag))
    .addOption(flag("--version <version>", "its version").argParser(versionFlag).default("", "none"))
    .addOption(flag("--namespace <namespace>", "its namespace").argParser(nameFlag).default("default"))
    .addOption(
      flag("--label <key=value>", "a label (repeatable; comma-separated in the environment)").argParser(keyValueFlag),
    )
    .addOption(flag("--zone <zone>", "where it runs").default("", "none"))
    .addOption(flag("--id <id>", "identity in the registry (default: service, version and address)").argParser(idFlag))
    .addOption(flag("--app <host:port>", "where the service itself listens").argParser(targetFlag))
    .addOption(
      flag("--control-plane <host:port>", `the control plane (default: ${CONTROL_PLANE_DEFAULT})`).argParser(
        targetFlag,
      ),
    )
    .addOption(listener("--outbound", "the app's calls to other services", "127.0.0.1:15001"))
    .addOption(
      flag(
        "--inbound <host:port|off>",
        `calls of other sidecars to the app (default: ${INBOUND_DEFAULT} with --app)`,
      ).argParser(hostPortOrOffFlag),
    )
    .addOption(
      flag(
        "--tcp <[host:]port=service>",
        "a local port for a service of bytes (protocol: tcp), such as 5432=postgres:5432 (repeatable; comma-separated in the environment)",
      ).argParser(tcpFlag),
    )
    .addOption(listener("--admin", "/config_dump /clusters /stats ...", "127.0.0.1:15000"))
    .addOption(listener("--status", "/healthz/live /healthz/ready /metrics", "0.0.0.0:15020"))
    .addOption(
      flag(
        "--advertise <host:port>",
        "where others reach --inbound (default: its address, as the control plane sees it)",
      ).argParser(targetFlag),
    )
    .addOption(
      flag("--cache <file>", "last good configuration, used when the control plane is away at start").argParser(
        pathFlag,
      ),
    )
    .addOption(
      flag("--rules <path>", "rules from a file or folder instead of a control plane, read again on change").argParser(
        pathFlag,
      ),
    )
    .addOption(
      flag("--drain <duration>", "longest time for requests to finish at the end")
        .argParser(durationFlag)
        .default(30_000, "30s"),
    )
    .addOption(
      flag("--concurrency <n|auto>", `processes that carry the traffic, at most ${CONCURRENCY_MAX}; auto: one per core`)
        .argParser(concurrencyFlag)
        .default(1),
    )
    .addOption(flag("--log-level <level>", "how much is logged").choices(LOG_LEVELS).default("info"));
  return addLimits(command);
}

/** What clients of both listeners may take and how long they may take for it. */
function addLimits(command: Command): Command {
  return command
    .addOption(
      duration("--header-timeout", "for a client to send a request head, then 408", DEFAULT_LIMITS.headTimeoutMs),
    )
    .addOption(
      duration("--body-idle-timeout", "silence within a request body, then 408", DEFAULT_LIMITS.bodyIdleTimeoutMs),
    )
    .addOption(
      duration("--client-idle-timeout", "a client connection without a request", DEFAULT_LIMITS.clientIdleTimeoutMs),
    )
    .addOption(
      duration(
        "--tunnel-idle-timeout",
        "a tunnel (WebSocket, CONNECT) without a byte",
        DEFAULT_LIMITS.tunnelIdleTimeoutMs,
      ),
    )
    .addOption(
      count(
        "--max-client-connections",
        "open client connections per listener and process",
        DEFAULT_LIMITS.clientConnectionsMax,
        1_000_000,
      ),
    )
    .addOption(
      count(
        "--max-start-line-bytes",
        "a request or status line, then 414",
        DEFAULT_HTTP1_LIMITS.startLineBytesMax,
        HEAD_BYTES_MAX,
      ),
    )
    .addOption(
      count(
        "--max-head-bytes",
        "start line and fields together, then 431",
        DEFAULT_HTTP1_LIMITS.headBytesMax,
        HEAD_BYTES_MAX,
      ),
    )
    .addOption(count("--max-fields", "field lines of a head, then 431", DEFAULT_HTTP1_LIMITS.fieldsMax, FIELDS_MAX));
}

function duration(name: string, text: string, defaultMs: number) {
  return flag(`${name} <duration>`, text).argParser(positiveDurationFlag).default(defaultMs, formatDuration(defaultMs));
}

function count(name: string, text: string, byDefault: number, max: number) {
  return flag(`${name} <n>`, text).argParser(countFlag(max)).default(byDefault);
}

function listener(name: string, text: string, address: string) {
  return flag(`${name} <host:port|off>`, text).argParser(hostPortOrOffFlag).default(address);
}

/** Why these flags cannot be meant together, or undefined. */
function contradiction(flags: Flags): string | undefined {
  if (flags.service === undefined) return "--service is missing: the name of the service beside this sidecar";
  if (flags.rules !== undefined && flags.controlPlane !== undefined) {
    return "--rules is for running without a control plane: leave out --control-plane, or --rules";
  }
  if (flags.rules !== undefined && flags.cache !== undefined) {
    return "--cache keeps what a control plane sent, and with --rules there is none: leave out one of them";
  }
  const wantsInbound = flags.inbound !== undefined && flags.inbound !== "off";
  if (wantsInbound && flags.app === undefined) return "--inbound needs --app: where the service itself listens";
  if (flags.advertise !== undefined && flags.app === undefined) {
    return "--advertise needs --app: without it there is nothing to reach";
  }
  if (flags.maxStartLineBytes > flags.maxHeadBytes) {
    return "--max-start-line-bytes is part of --max-head-bytes and cannot be more";
  }
  const hasPorts = flags.tcp !== undefined;
  if (flags.outbound === "off" && flags.app === undefined && !hasPorts)
    return "--outbound off without --app or --tcp leaves nothing to do";
  return tcpContradiction(flags.tcp ?? [], flags.namespace);
}

function settings(flags: Flags, command: readonly string[]): SidecarSettings {
  const { service = "", namespace, version, label = {}, zone, id, drain, logLevel, rules, cache } = flags;
  const inbound = flags.inbound ?? (flags.app === undefined ? "off" : INBOUND_DEFAULT);
  const controlPlane = { type: "control-plane", address: target(flags.controlPlane ?? CONTROL_PLANE_DEFAULT) } as const;
  return {
    service,
    namespace,
    version,
    labels: label,
    zone,
    id,
    app: flags.app === undefined ? undefined : target(flags.app),
    source: rules === undefined ? { ...controlPlane, cacheFile: cache } : { type: "rules", path: rules },
    outbound: parseHostPort(flags.outbound),
    inbound: parseHostPort(inbound),
    tcp: tcpListens(flags.tcp ?? [], namespace),
    admin: parseHostPort(flags.admin),
    status: parseHostPort(flags.status),
    advertise: flags.advertise === undefined ? undefined : target(flags.advertise),
    drainMs: drain,
    logLevel,
    concurrency: flags.concurrency,
    limits: {
      headTimeoutMs: flags.headerTimeout,
      bodyIdleTimeoutMs: flags.bodyIdleTimeout,
      clientIdleTimeoutMs: flags.clientIdleTimeout,
      tunnelIdleTimeoutMs: flags.tunnelIdleTimeout,
      clientConnectionsMax: flags.maxClientConnections,
    },
    http1Limits: {
      startLineBytesMax: flags.maxStartLineBytes,
      headBytesMax: flags.maxHeadBytes,
      fieldsMax: flags.maxFields,
    },
    command,
  };
}

/** An address to connect to: all addresses of this machine (`:8080`) means its loopback. */
function target(text: string): HostPort {
  const { host, port } = parseHostPort(text) ?? { host: "", port: 0 };
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

function targetFlag(text: string): string {
  if ((parseHostPort(text)?.port ?? 0) === 0)
    throw new InvalidArgumentError("Expected HOST:PORT, such as 127.0.0.1:8080.");
  return hostPortFlag(text);
}

function nameFlag(text: string): string {
  if (!DNS_LABEL.test(text)) {
    throw new InvalidArgumentError("Expected a DNS label: at most 63 lower-case letters, digits and inner hyphens.");
  }
  return text;
}

function versionFlag(text: string): string {
  if (text !== "" && !VERSION.test(text)) {
    throw new InvalidArgumentError('Expected at most 63 letters, digits, ".", "-" and "_".');
  }
  return text;
}

function idFlag(text: string): string {
  if (!WORKLOAD_ID.test(text))
    throw new InvalidArgumentError("Expected at most 253 printable characters without spaces.");
  return text;
}

function durationFlag(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined) throw new InvalidArgumentError("Expected a duration such as 30s or 1m30s.");
  return durationMs;
}

function positiveDurationFlag(text: string): number {
  const durationMs = durationFlag(text);
  if (durationMs === 0) throw new InvalidArgumentError("Expected a duration above 0.");
  return durationMs;
}

function concurrencyFlag(text: string): number {
  return text === "auto" ? Math.min(availableParallelism(), CONCURRENCY_MAX) : countFlag(CONCURRENCY_MAX)(text);
}

function countFlag(max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > max) throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`);
    return value;
  };
}
