// The admin and status pages over real sockets: what they answer, and to what they do not.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Decision } from "../observe/decision.ts";
import { type AdminSources, adminRoutes } from "./admin-pages.ts";
import { type PageServer, type Route, servePages, textPage } from "./http-server.ts";
import { type ReadinessReport, statusRoutes } from "./status-pages.ts";

const METRICS = `# HELP weft_requests_total Requests.
# TYPE weft_requests_total counter
weft_requests_total{service="default/orders",code="200"} 12
weft_connections 3
`;

const calls: string[] = [];
let readiness: ReadinessReport = { isReady: false, lines: ["configuration: none yet"] };
let admin: PageServer;
let status: PageServer;

const sources: AdminSources = {
  configDump: () => ({ revision: 7 }),
  clusters: () => [
    {
      service: "default/orders",
      algorithm: "round-robin",
      circuit: "none",
      ports: ["80/http"],
      rules: 1,
      endpoints: [
        {
          id: "orders-1",
          address: "10.0.0.1:15006",
          version: "v1",
          zone: "a",
          weight: 1,
          share: 0.5,
          health: "healthy",
          parts: { active: "", passive: "", circuit: "" },
          activeCheck: "unprobed",
          ejections: 0,
          circuit: "closed",
          activeRequests: 2,
          openConnections: 3,
        },
      ],
    },
  ],
  prometheus: () => METRICS,
  decisions: (id) => Promise.resolve(id === "known" ? [{ requestId: id } as Decision] : []),
  logLevel: () => "info",
  setLogLevel: (level) => calls.push(`level ${level}`),
  reopenLogs: () => Promise.resolve(void calls.push("reopen")),
  drain: () => calls.push("drain"),
  quit: () => calls.push("quit"),
  hasWorkers: false,
  profileWorker: (number) => (number === 1 ? Promise.resolve({ nodes: [] }) : undefined),
  sleep: (delayMs) => new Promise((wake) => setTimeout(wake, delayMs)),
};

beforeAll(async () => {
  const anyPort = { host: "127.0.0.1", port: 0 };
  admin = await servePages(anyPort, "admin", adminRoutes(sources), 16);
  const routes = statusRoutes({
    readiness: () => readiness,
    metrics: (format) => (format === "prometheus" ? METRICS : "# EOF\n"),
  });
  status = await servePages(anyPort, "status", routes, 16);
});
afterAll(() => Promise.all([admin.close(), status.close()]));

const get = (server: PageServer, path: string, init?: RequestInit) => fetch(`http://${server.address}${path}`, init);
const post = (path: string, headers: Record<string, string> = {}) => get(admin, path, { method: "POST", headers });

test("docs/admin.md has every page with its method, and none that does not exist", () => {
  const text = readFileSync(new URL("../../docs/admin.md", import.meta.url), "utf8");
  const documented = text
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) => {
      const method = /(GET|POST) \//.exec(line)?.[1];
      return [...line.matchAll(/`(?:GET |POST )?(\/[a-z_/]*)/g)].map(([, path]) => `${method} ${path}`);
    });
  const unused = { readiness: () => readiness, metrics: () => METRICS };
  const served = [...adminRoutes(sources), ...statusRoutes(unused)].map(
    ({ method, path }) => `${method.toUpperCase()} ${path}`,
  );
  expect(documented.toSorted()).toEqual(["GET /", ...served].toSorted());
});

describe("the status pages", () => {
  test("are live at once, and ready when the report says so, with its reasons", async () => {
    expect((await get(status, "/healthz/live")).status).toBe(200);
    const before = await get(status, "/healthz/ready");
    expect([before.status, await before.text()]).toEqual([503, "not ready\nconfiguration: none yet\n"]);
    readiness = { isReady: true, lines: ["configuration: revision 3"] };
    const after = await get(status, "/healthz/ready");
    expect([after.status, await after.text()]).toEqual([200, "ready\nconfiguration: revision 3\n"]);
  });

  test("metrics come in the text format, and HEAD has the same head without a body", async () => {
    const metrics = await get(status, "/metrics");
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await metrics.text()).toBe(METRICS);
    const accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    const open = await get(status, "/metrics", { headers: { accept } });
    expect(open.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(await open.text()).toBe("# EOF\n");
    const head = await get(status, "/metrics", { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      String(METRICS.length),
      "",
    ]);
  });

  test.each(["/nothing", "/healthz", "/metrics/", "//metrics", "/%2e%2e/etc/passwd"])(
    "%s is 404 with the list of pages",
    async (path) => {
      const answer = await get(status, path);
      expect(answer.status).toBe(404);
      expect(await answer.text()).toContain("/healthz/ready");
    },
  );
});

describe("the admin pages", () => {
  test("show the configuration, the endpoints and the figures", async () => {
    expect(await (await get(admin, "/config_dump")).json()).toEqual({ revision: 7 });
    const clusters = await (await get(admin, "/clusters")).text();
    expect(clusters).toContain("default/orders::10.0.0.1:15006::health::healthy\n");
    expect(await (await get(admin, "/clusters?format=json")).json()).toEqual(sources.clusters());
    for (const path of ["/stats?format=prometheus", "/stats/prometheus"]) {
      const prometheus = await get(admin, path);
      expect(prometheus.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(await prometheus.text()).toBe(METRICS);
    }
    const stats = await (await get(admin, "/stats?filter=connections")).text();
    expect(stats).toBe("weft_connections: 3\n");
    expect(await (await get(admin, "/stats?format=json")).json()).toEqual({
      'weft_requests_total{service="default/orders",code="200"}': 12,
      weft_connections: 3,
    });
    expect(await (await get(admin, "/stats?format=prometheus")).text()).toBe(METRICS);
  });

  test.each(["clusters", "stats"])("/%s refuses a format that there is not", async (path) => {
    const answer = await get(admin, `/${path}?format=x`);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('format "x" is none of: text')]);
    expect((await get(admin, `/${path}?format=text`)).status).toBe(200);
  });

  test("change something only by POST", async () => {
    for (const path of ["/drain", "/quitquitquit"]) {
      const answer = await get(admin, path);
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
    }
    expect(calls).toEqual([]);
    expect((await post("/drain")).status).toBe(200);
    expect((await post("/quitquitquit")).status).toBe(200);
    expect(calls.splice(0)).toEqual(["drain", "quit"]);
  });

  test("refuse a POST that a page of another site sent", async () => {
    expect((await post("/quitquitquit", { origin: "http://evil.example" })).status).toBe(403);
    expect(calls).toEqual([]);
    expect((await post("/drain", { origin: `http://${admin.address}` })).status).toBe(200);
    calls.length = 0;
  });

  test("show and set the log level, and refuse one that there is not", async () => {
    expect(await (await get(admin, "/logging")).text()).toBe("level: info\n");
    expect((await post("/logging?level=debug")).status).toBe(200);
    expect((await post("/logging?level=loud")).status).toBe(400);
    expect(calls.splice(0)).toEqual(["level debug"]);
  });

  test("take a CPU profile, one at a time", async () => {
    const first = get(admin, "/profile?seconds=0.2");
    const second = get(admin, "/profile?seconds=0.2");
    const answers = await Promise.all([first, second]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409]);
    const profile = await answers.find((answer) => answer.status === 200)!.json();
    expect(profile).toHaveProperty("nodes");
    expect((await get(admin, "/profile/cpu?seconds=0")).status).toBe(400);
  });

  test("take a heap profile", async () => {
    const answer = await get(admin, "/profile/heap?seconds=0.1");
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveProperty("samples");
  });

  test("an unknown method is refused, not obeyed", async () => {
    expect((await get(admin, "/drain", { method: "DELETE" })).status).toBe(405);
    expect(calls).toEqual([]);
  });
});

describe("garbage", () => {
  test.each([
    ["zeros", Buffer.alloc(4096)],
    ["a TLS hello", Buffer.from("16030100f5010000f10303", "hex")],
    ["an endless head", Buffer.from(`GET / HTTP/1.1\r\nx: ${"y".repeat(100_000)}`)],
    ["an HTTP/2 preface", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    ["two lengths", Buffer.from("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n")],
  ])("%s ends the connection and nothing else", async (_what, bytes) => {
    await send(admin.address, bytes);
    expect((await get(admin, "/logging")).status).toBe(200);
  });
});

describe("connections past the bound", () => {
  const MAX = 4;
  const slow = Promise.withResolvers<void>();
  let asked = 0;
  let pages: PageServer;

  beforeAll(async () => {
    const routes: Route[] = [
      { path: "/quick", method: "get", does: "answers", answer: () => textPage("quick") },
      {
        path: "/slow",
        method: "get",
        does: "takes long",
        answer: async () => {
          asked++;
          await slow.promise;
          return textPage("slow");
        },
      },
    ];
    pages = await servePages({ host: "127.0.0.1", port: 0 }, "bounded", routes, MAX);
  });
  afterAll(() => pages.close());

  /** A connection that is there, in the order of the calls; `isClosed` when the server has ended it. */
  async function connected(): Promise<{ isClosed: boolean; socket: Socket }> {
    const port = Number(pages.address.slice(pages.address.lastIndexOf(":") + 1));
    const client = { isClosed: false, socket: connect({ host: "127.0.0.1", port }) };
    client.socket.on("error", () => {});
    client.socket.on("close", () => {
      client.isClosed = true;
    });
    await once(client.socket, "connect");
    return client;
  }

  test("cost the one that has waited longest, and a probe is answered", async () => {
    const idle: Awaited<ReturnType<typeof connected>>[] = [];
    for (let count = 0; count < MAX; count++) idle.push(await connected());
    expect(await (await get(pages, "/quick", { headers: { connection: "close" } })).text()).toBe("quick\n");
    await waitUntil(() => idle[0]?.isClosed === true);
    expect(idle.map(({ isClosed }) => isClosed)).toEqual([true, false, false, false]);
    for (const { socket } of idle) socket.destroy();
  });

  test("cost none for which a page is being made", async () => {
    const answers = Array.from({ length: MAX }, () => get(pages, "/slow", { headers: { connection: "close" } }));
    await waitUntil(() => asked === MAX);
    const late = await connected();
    await waitUntil(() => late.isClosed);
    slow.resolve();
    for (const answer of answers) expect(await (await answer).text()).toBe("slow\n");
    expect(await (await get(pages, "/quick", { headers: { connection: "close" } })).text()).toBe("quick\n");
  });
});

async function waitUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((next) => setImmediate(next));
}

/** Sends bytes and waits until the other side has ended the connection. */
function send(address: string, bytes: Buffer): Promise<void> {
  return new Promise((closed) => {
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(bytes));
    socket.on("error", () => {});
    socket.on("close", () => closed());
    socket.resume();
  });
}
