// The admin server's pages, under the paths that Envoy's users know: what the sidecar acts on, its endpoints, its
// figures, its log level; draining, ending and profiling it. Only what a page says; where it comes from is passed in.
import { LOG_LEVELS, type LogLevel } from "../../runtime/log.ts";
import { CONTENT_TYPES } from "../../runtime/metrics-format.ts";
import type { Decision } from "../observe/decision.ts";
import { type ClusterView, clustersText } from "./cluster-view.ts";
import { jsonPage, type Page, type PageRequest, type Route, textPage } from "./http-server.ts";
import { PROFILER_BUSY, type ProfileKind, type ProfileOrder, Profiler } from "./profiler.ts";

const PROFILE_SECONDS_DEFAULT = 5;
const PROFILE_SECONDS_MAX = 60;
const PROFILE_OPTIONS = `?seconds=N, at most ${PROFILE_SECONDS_MAX}; with --concurrency ?worker=N (default 1; 0: their parent)`;

export interface AdminSources {
  readonly configDump: () => unknown;
  readonly clusters: () => readonly ClusterView[] | Promise<readonly ClusterView[]>;
  readonly prometheus: () => string | Promise<string>;
  /** What is remembered of a trace id or request id. */
  readonly decisions: (id: string) => Promise<readonly Decision[]>;
  readonly logLevel: () => string;
  readonly setLogLevel: (level: LogLevel) => void;
  readonly reopenLogs: () => Promise<void>;
  /** Stops taking inbound traffic; the process goes on. */
  readonly drain: () => void;
  /** Ends the process as SIGTERM does. */
  readonly quit: () => void;
  /** There are worker processes: this one carries no traffic. */
  readonly hasWorkers: boolean;
  /** A profile of the worker process of this number; undefined when there is none now. */
  readonly profileWorker: (number: number, order: ProfileOrder) => Promise<object> | undefined;
  /** Resolves after so many milliseconds. */
  readonly sleep: (delayMs: number) => Promise<void>;
}

export function adminRoutes(sources: AdminSources): Route[] {
  const { configDump, clusters, drain, quit } = sources;
  const profiler = new Profiler();
  return [
    {
      path: "/config_dump",
      method: "get",
      does: "what the sidecar acts on, with versions (JSON)",
      answer: () => jsonPage(configDump()),
    },
    {
      path: "/clusters",
      method: "get",
      does: "services and their endpoints; ?format=json",
      answer: async (request) => clustersPage(await clusters(), request),
    },
    {
      path: "/stats",
      method: "get",
      does: "figures as NAME: VALUE; ?filter=TEXT ?format=prometheus|json",
      answer: async (request) => statsPage(await sources.prometheus(), request),
    },
    {
      path: "/stats/prometheus",
      method: "get",
      does: "the same as /stats?format=prometheus",
      answer: async () => prometheusPage(await sources.prometheus()),
    },
    {
      path: "/decisions",
      method: "get",
      does: "what was decided about a request (JSON); ?id=TRACE-ID or ?id=REQUEST-ID",
      answer: ({ query }) => decisionsPage(sources, query.get("id") ?? ""),
    },
    {
      path: "/logging",
      method: "get",
      does: "the log level",
      answer: () => textPage(`level: ${sources.logLevel()}`),
    },
    {
      path: "/logging",
      method: "post",
      does: `?level=LEVEL sets it: ${LOG_LEVELS.join(" ")}`,
      answer: (request) => setLogLevel(sources, request),
    },
    {
      path: "/reopen_logs",
      method: "post",
      does: "begins a new access log file where the old one was moved away",
      answer: async () => {
        await sources.reopenLogs();
        return textPage("reopened");
      },
    },
    {
      path: "/drain",
      method: "post",
      does: "withdraws the endpoint and lets inbound requests finish",
      answer: () => {
        drain();
        return textPage("draining");
      },
    },
    {
      path: "/quitquitquit",
      method: "post",
      does: "ends the sidecar as SIGTERM does",
      answer: () => {
        quit();
        return textPage("ending");
      },
    },
    ...(["/profile", "/profile/cpu"] as const).map((path) => ({
      path,
      method: "get" as const,
      does: `CPU profile for Chrome DevTools; ${PROFILE_OPTIONS}`,
      answer: (request: PageRequest) => profile(profiler, "cpu", sources, request),
    })),
    {
      path: "/profile/heap",
      method: "get",
      does: `heap profile by samples, for Chrome DevTools; ${PROFILE_OPTIONS}`,
      answer: (request) => profile(profiler, "heap", sources, request),
    },
  ];
}

async function decisionsPage(sources: AdminSources, id: string): Promise<Page> {
  if (id === "") return textPage("id is missing: ?id=TRACE-ID or ?id=REQUEST-ID", 400);
  return jsonPage({ decisions: await sources.decisions(id) });
}

function setLogLevel(sources: AdminSources, { query }: PageRequest): Page {
  const wanted = query.get("level") ?? "";
  const level = LOG_LEVELS.find((known) => known === wanted);
  if (level === undefined) return textPage(`level "${wanted}" is none of: ${LOG_LEVELS.join(" ")}`, 400);
  sources.setLogLevel(level);
  return textPage(`level: ${level}`);
}

function clustersPage(views: readonly ClusterView[], { query }: PageRequest): Page {
  const format = query.get("format") ?? "text";
  if (format === "text") return textPage(clustersText(views));
  return format === "json" ? jsonPage(views) : textPage(`format "${format}" is none of: text json`, 400);
}

/** The Prometheus samples, one line each as `name{labels}: value`, or as a JSON object. */
function statsPage(exposition: string, { query }: PageRequest): Page {
  const format = query.get("format") ?? "text";
  if (format === "prometheus") return prometheusPage(exposition);
  const filter = query.get("filter") ?? "";
  const samples = exposition
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#") && line.includes(filter))
    .map((line): [string, string] => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]);
  if (format === "text") return textPage(samples.map(([name, value]) => `${name}: ${value}`).join("\n"));
  if (format !== "json") return textPage(`format "${format}" is none of: text json prometheus`, 400);
  return jsonPage(Object.fromEntries(samples.map(([name, value]) => [name, Number(value)])));
}

function prometheusPage(exposition: string): Page {
  return { status: 200, contentType: CONTENT_TYPES.prometheus, body: exposition };
}

async function profile(
  profiler: Profiler,
  kind: ProfileKind,
  { sleep, hasWorkers, profileWorker }: AdminSources,
  { query }: PageRequest,
): Promise<Page> {
  const seconds = Number(query.get("seconds") ?? PROFILE_SECONDS_DEFAULT);
  if (!(seconds > 0 && seconds <= PROFILE_SECONDS_MAX)) {
    return textPage(`seconds must be a number above 0 and at most ${PROFILE_SECONDS_MAX}`, 400);
  }
  const worker = query.get("worker") ?? (hasWorkers ? "1" : "0");
  if (worker !== "0") {
    const taken = profileWorker(Number(worker), { kind, durationMs: seconds * 1_000 });
    return taken === undefined ? textPage(`no worker process ${worker}`, 404) : workerProfile(worker, taken);
  }
  if (profiler.isRunning) return textPage("a profile is being taken already", 409);
  const body = JSON.stringify(await profiler.take(kind, () => sleep(seconds * 1_000)));
  return { status: 200, contentType: "application/json", body };
}

async function workerProfile(worker: string, taken: Promise<object>): Promise<Page> {
  try {
    return { status: 200, contentType: "application/json", body: JSON.stringify(await taken) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return textPage(`worker process ${worker}: ${message}`, code === PROFILER_BUSY ? 409 : 503);
  }
}
