// A soak of the data path: clients that abort, endpoints that are slow, frozen, resetting or flapping, all policies on, for as
// long as is asked. What must hold at the end is in `findings`; nobody has to watch.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type RequestOptions, request } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { seededRandom } from "../../runtime/random.ts";
import { eventually } from "../harness.ts";
import type { Figures, FromSubject, ToSubject } from "./subject.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly clients: number;
  readonly note: (line: string) => void;
}

export interface SoakReport {
  readonly sent: number;
  readonly completed: number;
  readonly aborted: number;
  readonly cut: number;
  readonly early: Figures;
  readonly late: Figures;
  /** What does not hold; empty: all is well. */
  readonly findings: readonly string[];
}

const HOST = "127.0.0.1";
const SEED = 4;
/** Pooled connections end by their idle time, and so does what hangs on them. */
const REST_MS = 5_500;

const POLICY = `
  timeout: { request: 1500ms }
  retry: { attempts: 2, backoff: { base: 5ms, max: 20ms }, hedge: { after: p95 } }
  outlierDetection: { consecutiveErrors: 3, baseEjectionTime: 500ms, maxEjectionTime: 1s }
  fallback: { staleFor: 1m, status: 200, body: fallback }`;

function rulesFor(mixed: readonly string[], flip: string): string {
  const service = (name: string, addresses: readonly string[]) =>
    `apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { endpoints: [${addresses.map((address) => `{ address: "${address}" }`).join(", ")}] }\n---\n`;
  const policy = (name: string, spec: string) =>
    `apiVersion: weft.mesh/v1\nkind: TrafficPolicy\nmetadata: { name: ${name} }\nspec:\n  targetRef: { kind: Service, name: ${name} }${spec}\n---\n`;
  return [
    service("mixed", mixed),
    policy("mixed", `${POLICY}\n  circuitBreaker: { scope: endpoint, volumeThreshold: 10, resetTimeout: 500ms }`),
    service("flip", [flip]),
    policy(
      "flip",
      "\n  retry: { attempts: 0 }\n  circuitBreaker: { volumeThreshold: 5, resetTimeout: 300ms, halfOpenProbes: 2 }",
    ),
    `apiVersion: weft.mesh/v1\nkind: RateLimit\nmetadata: { name: caller }\nspec:\n  targetRef: { kind: Service, name: caller }\n  limits: [{ requests: 1000, per: 1s, key: { header: x-user }, maxKeys: 100 }]\n  concurrency: { max: 64, queue: 16, queueTimeout: 50ms, adaptive: true }\n---\n`,
  ].join("");
}

class Subject {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, "subject.ts"), [], { execArgv: ["--expose-gc"], stdio: "inherit" });
  }

  async start(rules: string, app: string): Promise<{ outbound: string; inbound: string }> {
    const message = await this.#ask({ type: "start", rules, app });
    if (message.type !== "started") throw new Error("the subject did not start");
    return message;
  }

  async figures(): Promise<Figures> {
    const message = await this.#ask({ type: "ask" });
    if (message.type !== "figures") throw new Error("the subject gave no figures");
    return message.figures;
  }

  async #ask(message: ToSubject): Promise<FromSubject> {
    const answer = once(this.#child, "message") as Promise<[FromSubject]>;
    this.#child.send(message);
    return (await answer)[0];
  }

  stop(): void {
    this.#child.kill();
  }
}

/** Endpoints that misbehave until they are told to be good. */
class Endpoints {
  isGood = false;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #random = seededRandom(SEED);

  /** Once a whole head is there `answer` is called; bodies are small and come with it. */
  async open(answer: (socket: Socket) => void): Promise<{ address: string; server: Server }> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      socket.on("data", () => (this.isGood ? good(socket) : answer(socket)));
    });
    this.#servers.push(server);
    server.listen(0, HOST);
    await once(server, "listening");
    return { address: `${HOST}:${(server.address() as AddressInfo).port}`, server };
  }

  slow(): Promise<{ address: string }> {
    return this.open((socket) => setTimeout(() => good(socket), 100 + this.#random.next() * 300));
  }

  frozen(): Promise<{ address: string }> {
    return this.open(() => {});
  }

  resetting(): Promise<{ address: string }> {
    return this.open((socket) => {
      if (this.#random.next() < 0.5) return good(socket);
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
      setImmediate(() => socket.resetAndDestroy());
    });
  }

  /** There for 700 ms, gone for 700 ms, and so on. */
  async flapping(): Promise<{ address: string }> {
    const { address, server } = await this.open((socket) => good(socket));
    const port = Number(address.slice(address.indexOf(":") + 1));
    const flap = setInterval(() => {
      if (!server.listening) server.listen(port, HOST);
      else if (!this.isGood) {
        server.close();
        for (const socket of this.#sockets) if (socket.localPort === port) socket.destroy();
      }
    }, 700);
    this.#timers.push(flap);
    return { address };
  }

  /** 500 for 800 ms, 200 for 800 ms. */
  flipping(): Promise<{ address: string }> {
    let isBroken = false;
    this.#timers.push(setInterval(() => (isBroken = !isBroken), 800));
    return this.open((socket) =>
      isBroken ? socket.write("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") : good(socket),
    );
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}

function good(socket: Socket): void {
  socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
}

class Clients {
  sent = 0;
  aborted = 0;
  /** The connection broke before a whole answer. */
  cut = 0;
  readonly byStatus = new Map<string, number>();
  isOver = false;
  readonly #random = seededRandom(SEED + 1);

  async run(count: number, listeners: { outbound: string; inbound: string }): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, index) => this.#loop(index % 4 === 0, listeners)));
  }

  async #loop(isInbound: boolean, { outbound, inbound }: { outbound: string; inbound: string }): Promise<void> {
    while (!this.isOver) {
      await this.#one(isInbound ? inbound : outbound, isInbound ? "inbound" : "outbound");
      await new Promise((next) => setTimeout(next, this.#random.next() * 10));
    }
  }

  #one(address: string, direction: string): Promise<void> {
    const random = this.#random;
    const { hostname, port } = new URL(`http://${address}`);
    const host = random.next() < 0.7 ? "mixed" : "flip";
    const method = random.next() < 0.7 ? "GET" : "PUT";
    const headers = { host, "x-user": String(Math.floor(random.next() * 10_000)) };
    this.sent++;
    return new Promise((done) => {
      let isAborted = false;
      const outgoing = request({
        hostname,
        port,
        method,
        headers,
        agent: false,
        path: `/${Math.floor(random.next() * 500)}`,
      });
      const abort = random.next() < 0.15 ? setTimeout(() => give(), random.next() * 200) : undefined;
      const give = (): void => {
        isAborted = true;
        // An end may only mean that nothing more is sent; a reset says that nobody is there.
        if (random.next() < 0.5) outgoing.socket?.resetAndDestroy();
        outgoing.destroy();
      };
      let isWhole = false;
      outgoing.on("response", (answer) => {
        answer.resume();
        answer.on("error", () => {});
        answer.on("end", () => {
          isWhole = answer.complete && !isAborted;
          if (!isWhole) return;
          const key = `${direction} ${answer.statusCode}`;
          this.byStatus.set(key, (this.byStatus.get(key) ?? 0) + 1);
        });
      });
      outgoing.on("error", () => {});
      outgoing.on("close", () => {
        clearTimeout(abort);
        if (isAborted) this.aborted++;
        else if (!isWhole) this.cut++;
        done();
      });
      outgoing.end(method === "PUT" ? "x".repeat(300) : undefined);
    });
  }

  get completed(): number {
    return [...this.byStatus.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** Runs the load and looks at what is left of it. Rejects only when the soak itself cannot run. */
export async function soak({ seconds, clients: count, note }: SoakOptions): Promise<SoakReport> {
  const endpoints = new Endpoints();
  const subject = new Subject();
  try {
    const mixed = [
      await endpoints.open(good),
      await endpoints.open(good),
      await endpoints.slow(),
      await endpoints.frozen(),
      await endpoints.resetting(),
      await endpoints.flapping(),
    ];
    const flip = await endpoints.flipping();
    const app = await endpoints.slow();
    const rules = rulesFor(
      mixed.map(({ address }) => address),
      flip.address,
    );
    const listeners = await subject.start(rules, app.address);
    const clients = new Clients();
    const running = clients.run(count, listeners);
    await rest(seconds * 250);
    const early = await subject.figures();
    note(`after a quarter: ${summary(early)}`);
    await rest(seconds * 750);
    clients.isOver = true;
    await running;
    endpoints.isGood = true;
    const closed = await closesAgain(listeners.outbound);
    await rest(REST_MS);
    const late = await subject.figures();
    note(`at rest: ${summary(late)}`);
    const findings = [
      ...leaks(early, late),
      ...unaccounted(clients, late),
      ...(closed ? [] : ["a breaker stays open"]),
    ];
    const { sent, completed, aborted, cut } = clients;
    return { sent, completed, aborted, cut, early, late, findings };
  } finally {
    subject.stop();
    endpoints.close();
  }
}

function rest(milliseconds: number): Promise<void> {
  return new Promise((next) => setTimeout(next, milliseconds));
}

/** Endpoints are good now: every service must answer by itself again. */
async function closesAgain(outbound: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${outbound}`);
  const isAnswering = (host: string) =>
    fetchStatus({ hostname, port, headers: { host }, method: "OPTIONS", agent: false }).then(
      (reason) => reason === "200 ",
    );
  try {
    for (const host of ["mixed", "flip"])
      for (let inARow = 0; inARow < 10; inARow++) await eventually(`${host} answers`, () => isAnswering(host), 10_000);
    return true;
  } catch {
    return false;
  }
}

function fetchStatus(options: RequestOptions): Promise<string> {
  return new Promise((settle) => {
    const outgoing = request(options, (answer) => {
      answer.resume();
      answer.on("end", () => settle(`${answer.statusCode} ${answer.headers["x-weft-reason"] ?? ""}`));
      answer.on("error", () => settle(""));
    });
    outgoing.on("error", () => settle(""));
    outgoing.end();
  });
}

/** What must be gone at rest, and what must not have grown since the load was under way. */
function leaks(early: Figures, late: Figures): string[] {
  const gone = ["clientConnections", "activeRequests", "poolConnections", "pendingRequests", "internalErrors"] as const;
  const left = gone.filter((name) => late[name] > 0).map((name) => `${name}: ${late[name]} left`);
  if (late.sockets > 0) left.push(`sockets: ${late.sockets} left`);
  if (late.timers > 0) left.push(`timers: ${late.timers} left in the wheel`);
  if (late.loopTimers > early.loopTimers + 2)
    left.push(`timers of the loop: ${early.loopTimers} -> ${late.loopTimers}`);
  if (late.series > early.series + 40) left.push(`series: ${early.series} -> ${late.series}`);
  const bound = early.heapBytes + 8 * 1024 * 1024;
  if (late.heapBytes > bound) left.push(`heap: ${early.heapBytes} -> ${late.heapBytes} bytes`);
  return left;
}

/** Every answer that a client got whole is in the figures; what else is there belongs to a client that did not. */
function unaccounted(clients: Clients, { finished }: Figures): string[] {
  const counted = new Map<string, number>();
  let total = 0;
  for (const [key, count] of Object.entries(finished)) {
    const [direction = "", status = ""] = key.split(" ");
    counted.set(`${direction} ${status}`, (counted.get(`${direction} ${status}`) ?? 0) + count);
    total += count;
  }
  const missing = [...clients.byStatus].filter(([key, count]) => (counted.get(key) ?? 0) < count);
  const findings = missing.map(([key, count]) => `${count} answers ${key}, ${counted.get(key) ?? 0} counted`);
  // Those of `closesAgain` come on top of what the clients sent.
  const most = clients.sent + PROBES_MAX;
  if (total > most) findings.push(`${total} requests counted, at most ${most} sent`);
  const least = clients.completed + clients.cut;
  if (total < least) findings.push(`${total} requests counted, at least ${least} had an answer or were cut`);
  return findings;
}

const PROBES_MAX = 4_000;

function summary({ heapBytes, sockets, timers, series, activeRequests }: Figures): string {
  const heap = (heapBytes / 1024 / 1024).toFixed(1);
  return `heap ${heap} MiB, ${sockets} sockets, ${timers} timers, ${series} series, ${activeRequests} requests`;
}
