// For tests of the data path: a sidecar's listeners in this process, endpoints that say what they are told, and
// clients that speak bytes.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { compileInbound, compileMesh, compileService, indexDocuments, serviceNames } from "../../../rules/compile.ts";
import { compileEndpoints, impliedServices, impliedVersions, type WorkloadFacts } from "../../../rules/endpoints.ts";
import { loadDocuments } from "../../../rules/load.ts";
import { type Resource, resourceName } from "../../../rules/resource.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { silentLog } from "../../../runtime/log.ts";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { seededRandom } from "../../../runtime/random.ts";
import type { SocketMode } from "../../../runtime/socket-output.ts";
import type { Http1Limits } from "../../http1/limits.ts";
import type { DataPathLimits } from "../../limits.ts";
import type { ExchangeRecord } from "../../observe/exchange-record.ts";
import { buildSnapshot } from "../../snapshot.ts";
import { createDataPath, type DataPath } from "../data-path.ts";
import { startInbound } from "../inbound.ts";
import type { Listener } from "../listener.ts";
import { startOutbound } from "../outbound.ts";
import { startTcp } from "../tcp-listener.ts";

const cleanups: (() => unknown)[] = [];

/** Is done by the next `cleanUp`, before what was named earlier. */
export function onCleanUp(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/** Call in afterEach. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export interface RigOptions {
  /** Default: one on which every turn of the loop takes a millisecond. */
  readonly clock?: Clock;
  readonly limits?: Partial<DataPathLimits>;
  readonly http1Limits?: Partial<Http1Limits>;
  readonly socketMode?: SocketMode;
  /** Documents as YAML; `{a}` and so on are replaced by addresses. */
  readonly rules?: string;
  readonly workloads?: readonly Partial<WorkloadFacts>[];
  readonly zone?: string;
}

export async function createPath(options: RigOptions = {}): Promise<DataPath> {
  return createDataPath({
    clock: options.clock ?? clockOfTurns(),
    random: seededRandom(42),
    log: silentLog(),
    namespace: "default",
    service: "default/caller",
    zone: options.zone ?? "",
    limits: options.limits ?? {},
    http1Limits: options.http1Limits ?? {},
    ...(options.socketMode === undefined ? {} : { socketMode: options.socketMode }),
  });
}

/** Compiles the documents as the control plane does, and swaps the snapshot. */
export function applyRules(path: DataPath, yaml: string, workloads: readonly Partial<WorkloadFacts>[] = []): void {
  const { documents, diagnostics } = loadDocuments([{ name: "test.yaml", content: yaml }], {
    defaultNamespace: "default",
  });
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  if (errors.length > 0) throw new Error(JSON.stringify(errors, undefined, 1));
  const facts: WorkloadFacts[] = workloads.map((workload, index) => ({
    id: `w${index}`,
    service: "orders",
    namespace: "default",
    version: "",
    labels: {},
    address: "",
    zone: "",
    ready: true,
    ...workload,
  }));
  const implied = impliedServices(facts);
  const index = indexDocuments(
    documents.map(({ document }) => document),
    implied,
    impliedVersions(facts),
  );
  const resources = new Map<string, Resource>();
  const add = (resource: Resource | undefined): void => {
    if (resource !== undefined) resources.set(resourceName(resource), resource);
  };
  for (const service of serviceNames(index)) {
    add(compileService(index, service));
    add(compileEndpoints(index, service, facts));
  }
  add(compileInbound(index, path.service));
  add(compileMesh(index));
  const previous = path.snapshots.current;
  path.snapshots.swap(buildSnapshot(previous, resources, previous.revision + 1));
}

export interface Rig {
  readonly path: DataPath;
  readonly listener: Listener;
  readonly port: number;
}

export async function outboundRig(options: RigOptions = {}): Promise<Rig> {
  const path = await createPath(options);
  if (options.rules !== undefined || options.workloads !== undefined)
    applyRules(path, options.rules ?? "", options.workloads);
  const listener = await startOutbound({ path, listen: { host: "127.0.0.1", port: 0 } });
  cleanups.push(() => listener.close());
  return { path, listener, port: portOf(listener.address) };
}

/** A local port of `default/NAME`. @param name as in the flag: `orders`, `orders:25` */
export async function tcpRig(name: string, options: RigOptions = {}): Promise<Rig> {
  const path = await createPath(options);
  if (options.rules !== undefined || options.workloads !== undefined)
    applyRules(path, options.rules ?? "", options.workloads);
  const [service = "", port = "0"] = name.split(":");
  const listener = await startTcp({
    path,
    listen: { host: "127.0.0.1", port: 0 },
    service: { name, service: `default/${service}`, port: Number(port) },
  });
  cleanups.push(() => listener.close());
  return { path, listener, port: portOf(listener.address) };
}

export async function inboundRig(app: string | undefined, options: RigOptions = {}): Promise<Rig> {
  const path = await createPath(options);
  if (options.rules !== undefined) applyRules(path, options.rules);
  const host = app === undefined ? undefined : { host: "127.0.0.1", port: portOf(app) };
  const listener = await startInbound({ path, listen: { host: "127.0.0.1", port: 0 }, app: host });
  cleanups.push(() => listener.close());
  return { path, listener, port: portOf(listener.address) };
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** One connection that an endpoint got. */
export class EndpointConnection {
  received = "";
  readonly socket: Socket;
  hasEnded = false;
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** Waits until what came contains `text`. */
  async receives(text: string): Promise<string> {
    await until(
      () => this.received.includes(text),
      () => `${JSON.stringify(text)} in ${JSON.stringify(this.received)}`,
    );
    return this.received;
  }
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly connections: EndpointConnection[];
  /** The connection with this index, once it is there. */
  connection(index: number): Promise<EndpointConnection>;
  readonly server: Server;
  stop(): Promise<void>;
}

/** Refuses connections: a port below those that a listener on port 0 could be given in the meantime. */
export const REFUSING_ADDRESS = "127.0.0.1:1";

/** A server of bytes. */
export async function startEndpoint(
  onConnection: (connection: EndpointConnection) => void = () => {},
): Promise<Endpoint> {
  const connections: EndpointConnection[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new EndpointConnection(socket);
    connections.push(connection);
    onConnection(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = (server.address() as AddressInfo).port;
  const stop = async (): Promise<void> => {
    for (const { socket } of connections) socket.destroy();
    if (server.listening) {
      server.close();
      await once(server, "close");
    }
  };
  cleanups.push(stop);
  return {
    address: `127.0.0.1:${port}`,
    port,
    connections,
    server,
    stop,
    connection: async (index) => {
      await until(
        () => connections.length > index,
        () => `connection ${index}`,
      );
      return connections[index] as EndpointConnection;
    },
  };
}

/** An endpoint that answers each complete bodiless request with `answer`, whatever it asks. */
export function answering(answer: string | ((request: string, index: number) => string)): Promise<Endpoint> {
  let index = 0;
  return startEndpoint((connection) => {
    let seen = 0;
    connection.socket.on("data", () => {
      for (let end = connection.received.indexOf("\r\n\r\n", seen); end >= 0; ) {
        const request = connection.received.slice(seen, end + 4);
        seen = end + 4;
        connection.socket.write(typeof answer === "string" ? answer : answer(request, index++), "latin1");
        end = connection.received.indexOf("\r\n\r\n", seen);
      }
    });
  });
}

export function ok(body: string, fields = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

/** Status and reason of each exchange that ends from now on. */
export function endings(path: DataPath): string[] {
  const seen: string[] = [];
  path.observers.push({ onExchange: (record: ExchangeRecord) => void seen.push(`${record.status} ${record.reason}`) });
  return seen;
}

/** A client that speaks bytes. */
export class Client {
  received = "";
  hasEnded = false;
  isClosed = false;
  error = "";
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    this.socket.on("end", () => {
      this.hasEnded = true;
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    cleanups.push(() => this.socket.destroy());
  }

  send(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  async receives(text: string): Promise<string> {
    await until(
      () => this.received.includes(text),
      () => `${JSON.stringify(text)} in ${JSON.stringify(this.received)}`,
    );
    return this.received;
  }

  /** The end of what the sidecar sends: an orderly end ("end") or a reset ("ECONNRESET"). */
  async ends(): Promise<string> {
    await until(
      () => this.hasEnded || this.isClosed,
      () => `the end after ${JSON.stringify(this.received)}`,
    );
    return this.error === "" ? "end" : this.error;
  }
}

/** Sends and returns all that comes until the other side closes. */
export async function exchangeBytes(port: number, text: string): Promise<string> {
  const client = new Client(port).send(text);
  await client.ends();
  client.socket.destroy();
  return client.received;
}

/** Of a millisecond or more each. Not a time: on a busy machine it passes without this process having its turns. */
const PATIENCE_TURNS = 8_000;

/** Turns the loop until the condition holds; fails loudly, saying what was waited for. */
export async function until(condition: () => boolean, what: () => string = () => "a condition"): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > PATIENCE_TURNS) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Resolves when so many turns of the loop are over, of a millisecond or more each: milliseconds of a rig's clock. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/**
 * A clock on which every turn of the loop takes a millisecond, however long the machine kept this process waiting: a
 * pause of the process makes none of its peers late.
 */
function clockOfTurns(): ManualClock {
  const clock = new ManualClock();
  const timer = setInterval(() => clock.advance(1), 1);
  onCleanUp(() => clearInterval(timer));
  return clock;
}

/** Resolves once `value` has stood still for 50 turns of 2 ms. */
export async function stands(value: () => number): Promise<number> {
  let last = -1;
  let still = 0;
  await until(() => {
    still = value() === last ? still + 1 : 0;
    last = value();
    return still >= 50;
  });
  return last;
}

/** A policy for the service of this name. */
export function policy(name: string, spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: ${name} }
spec: { targetRef: { kind: Service, name: ${name} }, ${spec} }
---
`;
}

/** A Service document with static endpoints. */
export function serviceOf(name: string, ...addresses: string[]): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { endpoints: [${endpoints}] }
---
`;
}
