// One probe of one endpoint: an HTTP GET, a TCP connection, or a call of grpc.health.v1 (the gRPC health checking
// protocol). Each uses a connection of its own and closes it, so that it also tells whether new connections are taken.
import { connect } from "node:net";
import type { Client } from "undici";
import { formatHostPort, type HostPort } from "../../../runtime/address.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { isLocalFailure } from "../../../runtime/local-failure.ts";
import { isSelfConnected, SELF_CONNECTED } from "../../../runtime/self-connection.ts";
import { callHealth } from "./grpc-health.ts";

export type ProbeKind =
  | {
      readonly type: "http";
      readonly path: string;
      /** Host field; "": the endpoint's address. */
      readonly host: string;
      /** Empty: 200 to 299. */
      readonly expectedStatuses: readonly number[];
    }
  | { readonly type: "tcp" }
  | { readonly type: "grpc"; readonly service: string };

/** Why it failed, "" when it passed. @param isLocal it could not be made, by no fault of the endpoint */
type ProbeDone = (error: string, isLocal: boolean) => void;

/** Calls back once. Abandoned by calling what it returns. */
export type Probe = (target: HostPort, done: ProbeDone) => () => void;

/** Calls back with how it ended; an error says by itself whose it was. */
type Attempt = (target: HostPort, done: (end: string | Error) => void) => () => void;

/** The probe of this kind, which takes at most `timeoutMs`. */
export function buildProbe(kind: ProbeKind, timeoutMs: number, clock: Clock): Probe {
  const start = startOf(kind);
  return (target, done) => {
    let isDone = false;
    const finish = (end: string | Error): void => {
      if (isDone) return;
      isDone = true;
      timer.cancel();
      stop();
      if (typeof end === "string") done(end, false);
      else done(end.message, isLocalFailure(end));
    };
    const timer = clock.after(timeoutMs, () => finish(`no answer in ${timeoutMs} ms`));
    const stop = start(target, finish);
    return () => {
      isDone = true;
      timer.cancel();
      stop();
    };
  };
}

function startOf(kind: ProbeKind): Attempt {
  switch (kind.type) {
    case "http":
      return (target, done) => getStatus(kind, target, done);
    case "tcp":
      return openConnection;
    case "grpc":
      return (target, done) => callHealth(kind.service, formatHostPort(target.host, target.port), done);
  }
}

function getStatus(
  kind: ProbeKind & { type: "http" },
  target: HostPort,
  done: (end: string | Error) => void,
): () => void {
  const headers = {
    "user-agent": "weft-health-check",
    ...(kind.host !== "" && { host: kind.host }),
  };
  const { path, expectedStatuses } = kind;
  let client: Client | undefined;
  let isStopped = false;
  const ask = async (): Promise<void> => {
    // Loaded with the first probe: most sidecars make none.
    const { Client } = await import("undici");
    if (isStopped) return;
    client = new Client(`http://${formatHostPort(target.host, target.port)}`);
    const { statusCode: status } = await client.request({ method: "GET", path, headers, reset: true });
    const isExpected =
      expectedStatuses.length === 0 ? status >= 200 && status <= 299 : expectedStatuses.includes(status);
    done(isExpected ? "" : `status ${status}`);
  };
  ask().catch((error: unknown) => done(error instanceof Error ? error : String(error)));
  return () => {
    isStopped = true;
    client?.destroy().catch(() => {});
  };
}

function openConnection(target: HostPort, done: (end: string | Error) => void): () => void {
  const socket = connect(target.port, target.host);
  socket.on("connect", () => {
    if (!isSelfConnected(socket)) return done("");
    socket.resetAndDestroy();
    done(SELF_CONNECTED);
  });
  socket.on("error", done);
  return () => socket.destroy();
}
