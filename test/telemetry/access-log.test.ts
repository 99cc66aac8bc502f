// The access log of real sidecars: which requests it has, what a line says and never says, files that are rotated, and
// readers that do not read. Nothing here may keep a request waiting.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, eventually, PROGRAMS, type RunningProgram, temporaryFolder } from "../harness.ts";
import { page, serviceDocument, sidecarArguments, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

/** A file of rules: the service `orders`, and a Mesh document with this access log. */
async function rulesWith(accessLog: object): Promise<{ rules: string; folder: string }> {
  const app = await startHttpApp((incoming, answer) => {
    answer.statusCode = incoming.url?.startsWith("/broken") === true ? 500 : 200;
    if (incoming.url?.startsWith("/slow") === true) setTimeout(() => answer.end("late"), 150);
    else answer.end("good");
  });
  closing.push(() => app.close());
  const folder = temporaryFolder();
  const rules = join(folder, "rules.yaml");
  const spec = { accessLog: { enabled: true, ...accessLog } };
  const mesh = { apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec };
  writeFileSync(rules, `${serviceDocument("orders", app.address)}${JSON.stringify(mesh)}\n`);
  return { rules, folder };
}

async function startLogged(accessLog: object, flags: readonly string[] = []) {
  const file = join(temporaryFolder(), "access.log");
  const { rules, folder } = await rulesWith({ file, ...accessLog });
  const web = await startSidecar("web", { flags: ["--rules", rules, ...flags] });
  return { web, file, folder };
}

async function get(web: RunningProgram, path: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  expect(
    (await ask({ address: web.address("outbound"), path, headers: { host: "orders", ...headers } })).status,
  ).toBeLessThan(600);
}

async function getMany(
  web: RunningProgram,
  path: string,
  count: number,
  headers: Readonly<Record<string, string>> = {},
) {
  for (let done = 0; done < count; done += 20)
    await Promise.all(Array.from({ length: Math.min(20, count - done) }, () => get(web, path, headers)));
}

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
const targetsOf = (file: string): string[] => linesOf(file).map((line) => JSON.parse(line).target as string);

/** Resolves with the lines once there are so many. */
const linesOnce = (file: string, count: number) =>
  eventually(`${count} lines in ${file}`, () => linesOf(file).length >= count && linesOf(file));

/** Lines of the log by what became of them. */
async function counted(web: RunningProgram, outcome: string): Promise<number> {
  const text = await (await page(web, "status", "/metrics")).text();
  return Number(
    new RegExp(`^weft_telemetry_items_total{signal="logs",outcome="${outcome}"} (\\d+)$`, "m").exec(text)?.[1] ?? 0,
  );
}

describe("which requests, and what a line says", () => {
  test("errors, what is slow, and a share of the rest", async () => {
    const { web, file } = await startLogged({ filter: { errors: true, slowerThan: "100ms", sampling: 0 } });
    // On a busy machine any request may be slow: asked until one was seen to be fast.
    let fast = 0;
    await eventually("a fast answer", async () => {
      const startedMs = performance.now();
      await get(web, `/good${++fast}`);
      return performance.now() - startedMs < 100;
    });
    await get(web, "/broken");
    await get(web, "/slow");
    await get(web, "/nowhere", { host: "nobody" });
    await web.interrupt();
    const targets = targetsOf(file);
    expect(targets.slice(-3)).toEqual(["/broken", "/slow", "/nowhere"]);
    expect(targets).not.toContain(`/good${fast}`);
  });

  test("a share of the rest", async () => {
    const { web, file } = await startLogged({ filter: { errors: true, sampling: 20 } });
    await getMany(web, "/good", 400);
    await get(web, "/broken");
    await web.interrupt();
    const targets = targetsOf(file);
    expect(targets.filter((target) => target === "/broken")).toHaveLength(1);
    expect(targets.length).toBeGreaterThan(40);
    expect(targets.length).toBeLessThan(140);
  });

  test("text lines, and those of a template", async () => {
    const plain = await startLogged({ format: "text" });
    await get(plain.web, "/a?b=c");
    await plain.web.interrupt();
    expect(linesOf(plain.file)[0]).toMatch(
      /^\d{4}-\d\d-\d\dT\S+Z outbound "GET orders \/a\?b=c" 200 - default\/orders default\/orders 127\.0\.0\.1:\d+ 1 \d+\.\d{3}$/,
    );
    const template =
      '%METHOD% %PATH% %QUERY% %STATUS% %REASON% %UPSTREAM_HOST% "%REQ(User-Agent)%" %REQ(x-none)% 100%%';
    const own = await startLogged({ format: "text", template });
    await get(own.web, "/a?b=c", { "user-agent": "tests/1" });
    await own.web.interrupt();
    expect(linesOf(own.file)[0]).toMatch(/^GET \/a b=c 200 - 127\.0\.0\.1:\d+ "tests\/1" - 100%$/);
  });

  test.each([
    ["json", {}],
    ["text", { template: "%TARGET% %REQ(authorization)% %REQ(cookie)% %REQ(x-api-key)% %REQ(x-other)%" }],
  ] as const)(
    "no secret of a query or a field is in it, nor a field that was not asked for (%s)",
    async (format, more) => {
      const headers = format === "json" ? { headers: ["authorization", "cookie", "x-api-key"] } : {};
      const { web, file } = await startLogged({ format, ...headers, ...more });
      const secrets = { authorization: "Bearer hush1", cookie: "sid=hush2", "x-api-key": "hush3" };
      await get(web, "/a?password=hush4&api_key=hush5&X-Amz-Signature=hush6&page=2", {
        ...secrets,
        "x-private": "quiet",
      });
      await web.interrupt();
      const text = readFileSync(file, "utf8");
      expect(text).not.toContain("hush");
      expect(text).not.toContain("quiet");
      expect(text).toContain("page=2");
      expect(text.match(/REDACTED/g)).toHaveLength(6);
    },
  );

  test.each([
    ["json", {}],
    ["text", {}],
    ["text", { template: "%TARGET% %REQ(x-user)% %AUTHORITY%" }],
  ] as const)("one request is one line, whatever a client sends (%s %j)", async (format, more) => {
    const headers = format === "json" ? { headers: ["x-user"] } : {};
    const { web, file } = await startLogged({ format, ...headers, ...more });
    const nasty = [
      'GET /a"},{"status":200} HTTP/1.1\r\nHost: orders\r\nX-User: "\\\x1b[2J\x85\xe2\x80\xa8\r\nConnection: close\r\n\r\n',
      "GET /%0aGET%20/forged HTTP/1.1\r\nHost: orders\r\nX-User: a\tb\r\nConnection: close\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: evil\nforged\r\nConnection: close\r\n\r\n",
      "GET /\x00 HTTP/1.1\r\nHost: orders\r\n\r\n",
      "\x16\x03\x01garbage\r\n\r\n",
    ];
    for (const bytes of nasty) await sendBytes(web.address("outbound"), bytes);
    await web.interrupt();
    const lines = linesOf(file);
    expect(lines).toHaveLength(nasty.length);
    for (const line of lines) {
      expect(line).toMatch(/^\P{Cc}*$/u);
      if (format === "json") expect(JSON.parse(line)).toHaveProperty("status");
    }
  });
});

function sendBytes(address: string, bytes: string): Promise<void> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((closed) => {
    const socket = connect(Number(port), hostname, () => socket.end(bytes, "latin1"));
    socket.on("error", () => {});
    socket.on("close", () => closed());
    socket.resume();
  });
}

describe("files that are rotated", () => {
  test("a file that was moved is begun anew within seconds, without being told, and no line is lost", async () => {
    const { web, file } = await startLogged({});
    await getMany(web, "/before", 20);
    await linesOnce(file, 20);
    renameSync(file, `${file}.1`);
    await eventually("a new file", () => existsSync(file));
    await getMany(web, "/after", 20);
    await linesOnce(file, 20);
    expect(new Set(targetsOf(`${file}.1`))).toEqual(new Set(["/before"]));
    expect(new Set(targetsOf(file))).toEqual(new Set(["/after"]));
  });

  test.each([
    ["SIGHUP", (web: RunningProgram) => web.signal("SIGHUP")],
    ["SIGUSR1", (web: RunningProgram) => web.signal("SIGUSR1")],
    [
      "POST /reopen_logs",
      (web: RunningProgram) => fetch(`http://${web.address("admin")}/reopen_logs`, { method: "POST" }),
    ],
  ] as const)("%s begins a new file at once, in every worker", async (_, tell) => {
    const { web, file } = await startLogged({}, ["--concurrency", "2"]);
    const all = Array.from({ length: 60 }, (_unused, index) => `/r${index}`);
    for (const path of all.slice(0, 30)) await get(web, path);
    await linesOnce(file, 30);
    renameSync(file, `${file}.1`);
    await tell(web);
    await eventually("a new file", () => existsSync(file));
    for (const path of all.slice(30)) await get(web, path);
    await eventually("all lines", () => linesOf(file).length + linesOf(`${file}.1`).length === 60);
    expect([...targetsOf(`${file}.1`), ...targetsOf(file)].sort()).toEqual(all.sort());
  });

  test("a file that was cut to nothing (copytruncate) goes on from there", async () => {
    const { web, file } = await startLogged({});
    await getMany(web, "/before", 20);
    await linesOnce(file, 20);
    truncateSync(file);
    await get(web, "/after");
    expect(await linesOnce(file, 1)).toHaveLength(1);
    expect(readFileSync(file)[0]).toBe("{".charCodeAt(0));
  });

  test("what cannot be written is tried again: a folder that is not there yet", async () => {
    const folder = join(temporaryFolder(), "later");
    const { web } = await startLogged({ file: join(folder, "access.log") });
    await eventually("lines are dropped, and counted", async () => {
      await get(web, "/lost");
      return (await counted(web, "dropped")) > 0;
    });
    mkdirSync(folder);
    await eventually("lines are written", async () => {
      await get(web, "/found");
      return targetsOf(join(folder, "access.log")).includes("/found");
    });
    expect(web.stderr.match(/cannot write the access log/g)).toHaveLength(1);
  });

  test("whoever ends the sidecar right after the last request has every line", async () => {
    const { web, file } = await startLogged({}, ["--drain", "1s"]);
    await getMany(web, "/a", 100);
    await web.stop();
    expect(linesOf(file)).toHaveLength(100);
  });
});

describe("readers that do not read", () => {
  /** 400 lines of 15 KiB are more than a pipe and the log's own bound hold together. */
  const LONG = { "x-user": "u".repeat(15_000) };

  async function answersAllTheSame(web: RunningProgram): Promise<void> {
    const startedMs = performance.now();
    await getMany(web, "/a", 400, LONG);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    await eventually("lines are dropped, and counted", async () => {
      await getMany(web, "/a", 20, LONG);
      return (await counted(web, "dropped")) > 0;
    });
  }

  function makeFifo(): string {
    const fifo = join(temporaryFolder(), "fifo");
    execFileSync("mkfifo", [fifo]);
    return fifo;
  }

  test("a FIFO without a reader, with one that stands still, and with one that reads", async () => {
    const fifo = makeFifo();
    const { web } = await startLogged({ file: fifo, headers: ["x-user"] });
    await eventually("lines are dropped", async () => {
      await get(web, "/nobody");
      return (await counted(web, "dropped")) > 0;
    });
    expect(web.stderr).toContain("nobody reads from it");
    const still = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    closing.push(() => closeSync(still));
    await answersAllTheSame(web);
    const reader = spawn("cat", [fifo], { stdio: ["ignore", "pipe", "ignore"] });
    closing.push(() => reader.kill());
    let text = "";
    reader.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    await eventually("lines arrive", async () => {
      await get(web, "/read");
      return text.includes('"target":"/read"');
    });
    const startedMs = performance.now();
    expect(await web.interrupt()).toMatchObject({ code: 0 });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  test("a sidecar whose FIFO nobody empties ends all the same", async () => {
    const fifo = makeFifo();
    const still = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    closing.push(() => closeSync(still));
    const { web } = await startLogged({ file: fifo, headers: ["x-user"] }, ["--drain", "1s"]);
    await getMany(web, "/a", 40, LONG);
    const startedMs = performance.now();
    expect(await web.stop()).toMatchObject({ code: 0 });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  /** A sidecar whose standard output nobody reads after the ready line. */
  async function startPiped(flags: readonly string[] = []) {
    const { rules } = await rulesWith({ headers: ["x-user"] });
    const args = [PROGRAMS["weft-sidecar"], ...sidecarArguments("web", { flags: ["--rules", rules, ...flags] })];
    const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
    closing.push(() => child.kill("SIGKILL"));
    const output = child.stdout!;
    let text = "";
    output.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    const line = await eventually("the ready line", () => text.includes("\n") && text.slice(0, text.indexOf("\n")));
    output.pause();
    const ready = JSON.parse(line) as Record<string, string>;
    const web = { address: (name: string) => ready[name] ?? "" } as RunningProgram;
    const stopped = new Promise<number | null>((settle) => child.once("exit", settle));
    const closed = new Promise<void>((settle) => child.once("close", () => settle()));
    return { web, child, output, stopped, closed, lines: () => text.split("\n").slice(1, -1) };
  }

  test("standard output into a pipe that is full", async () => {
    const { web, child, stopped } = await startPiped(["--drain", "1s"]);
    await answersAllTheSame(web);
    child.kill("SIGTERM");
    expect(await stopped).toBe(0);
  });

  test.each([[[]], [["--concurrency", "2"]]])("a reader that is late has every line at the end (%j)", async (flags) => {
    const { web, child, output, closed, lines } = await startPiped(flags);
    await getMany(web, "/a", 60, LONG);
    child.kill("SIGINT");
    output.resume();
    await closed;
    expect(lines()).toHaveLength(60);
  });
});
