// The process itself on bad days: killed, damaged files, taken ports, wrong flags, garbage on the wire.
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Client, type ClientDuplexStream, credentials, loadPackageDefinition, Metadata } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath as healthProto, service as healthService } from "grpc-health-check";
import { afterEach, describe, expect, it } from "vitest";
import { StreamRequest, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import {
  type ListSidecarsRequest,
  type ListSidecarsResponse,
  type StatusRequest,
  type StatusResponse,
  SyncState,
} from "../../proto/gen/weft/v1/fleet.ts";
import {
  HistoryRequest,
  type HistoryResponse,
  type ListRequest,
  type ListResponse,
  type RulesServiceClient,
} from "../../proto/gen/weft/v1/rules.ts";
import {
  cleanUp,
  eventually,
  REPOSITORY,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
  within,
} from "../harness.ts";
import { apply, ask, closeClients, FakeSidecar, fleetClient, rulesClient, service } from "./client.ts";

afterEach(async () => {
  closeClients();
  await cleanUp();
});

const FREE = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
const start = (data: string, ...more: string[]) =>
  startProgram("weft-control-plane", ["--data", data, ...FREE, ...more]);
const run = (...args: string[]) => runProgram("weft-control-plane", args);

function list(rules: RulesServiceClient): Promise<ListResponse> {
  const request = { kind: "", namespace: "", revision: 0 };
  return ask<ListRequest, ListResponse>(rules, rules.list, request);
}

async function isWorking(program: RunningProgram): Promise<boolean> {
  const fleet = fleetClient(program.address("grpc"));
  const status = await ask<StatusRequest, StatusResponse>(fleet, fleet.status, {});
  return status.programVersion !== "";
}

describe("killed in the middle of 200 applies", () => {
  it("has every acknowledged one, whole, and goes on", async () => {
    const data = temporaryFolder();
    let program = await start(data);
    const rules = rulesClient(program.address("grpc"));
    const acknowledged = new Set<number>();
    const waiting = Array.from({ length: 200 }, (_, index) => index);
    const work = async () => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
        // Two documents each, so that half an apply could be seen.
        await apply(rules, service(`left-${index}`) + service(`right-${index}`), { message: `m${index}` });
        acknowledged.add(index);
        if (acknowledged.size === 100) program.signal("SIGKILL");
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: 8 }, work));
    expect(await program.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(workers.map(({ status }) => status)).toContain("rejected");
    expect(acknowledged.size).toBeLessThan(200);
    program = await start(data);
    const after = rulesClient(program.address("grpc"));
    const { documents, revision } = await list(after);
    const names = new Set(documents.map(({ key }) => key?.name));
    for (const index of acknowledged) expect(names).toContain(`left-${index}`);
    for (let index = 0; index < 200; index++) expect(names.has(`left-${index}`)).toBe(names.has(`right-${index}`));
    expect(documents.length).toBe(2 * revision);
    const { revisions } = await ask<HistoryRequest, HistoryResponse>(
      after,
      after.history,
      HistoryRequest.fromPartial({ limit: 1000 }),
    );
    expect(revisions.map((entry) => entry.revision)).toEqual(Array.from({ length: revision }, (_, i) => revision - i));
    expect((await apply(after, service("next"))).revision).toBe(revision + 1);
  });
});

describe("restarted, by a signal or a kill", () => {
  it("still knows every workload, and gives them time to come back", async () => {
    const data = temporaryFolder();
    let program = await start(data);
    const orders = { id: "orders-1", service: "orders", address: "127.0.0.1:4001" };
    await new FakeSidecar(program.address("grpc"), { workload: orders }).deltaCount(1);
    for (const end of ["kill", "stop"] as const) {
      // It got its first delta, so it is on disk: no kill can come too soon.
      expect(workloadsOnDisk(data)).toContain("orders-1");
      await program[end]();
      program = await start(data);
      const grpc = program.address("grpc");
      const caller = new FakeSidecar(grpc, {
        workload: { id: "caller" },
        hello: { subscriptions: ["default/orders"] },
      });
      await caller.holds("endpoints:default/orders", ({ endpoints }) => (endpoints as unknown[]).length === 1);
      caller.goodbye();
      await eventually("it left", () => caller.ended !== undefined);
    }
  });

  function workloadsOnDisk(data: string): unknown[] {
    const database = new DatabaseSync(join(data, "weft.db"), { readOnly: true });
    const rows = database.prepare("SELECT id FROM workloads").all();
    database.close();
    return rows.map((row) => row["id"]);
  }
});

describe("a data folder that cannot be used", () => {
  const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

  it("is refused when the database is damaged, and left as it is", async () => {
    const data = temporaryFolder();
    const program = await start(data);
    await apply(rulesClient(program.address("grpc")), service("a"));
    await program.stop();
    const file = join(data, "weft.db");
    writeFileSync(file, readFileSync(file).fill(0xee, 200, 3_000));
    const before = hash(file);
    const { code, stdout, stderr } = await run("--data", data, ...FREE);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^weft-control-plane: the database .*weft\.db is damaged .*restore it from a backup/);
    expect(hash(file)).toBe(before);
  });

  it("is refused when it is no folder", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const { code, stderr } = await run("--data", file, ...FREE);
    expect(code).toBe(1);
    expect(stderr).toMatch(/data folder .*file cannot be written .*--data DIR/);
  });

  it("is refused when it is not writable", async () => {
    // Root may write to a folder of mode 555, but nobody may make one in /proc.
    const root = process.getuid?.() === 0;
    const data = root ? "/proc/weft-data" : temporaryFolder();
    if (!root) chmodSync(data, 0o555);
    const { code, stdout, stderr } = await run("--data", data, ...FREE);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/cannot be written .*give this user write access/);
  });

  it("is refused when another control plane uses it, until that one is gone, however it went", async () => {
    const data = temporaryFolder();
    const first = await start(data);
    const { code, stderr } = await run("--data", data, ...FREE);
    expect(code).toBe(1);
    expect(stderr).toContain(`in use by another weft-control-plane (process ${first.pid})`);
    expect(await isWorking(first)).toBe(true);
    await first.kill();
    expect(await isWorking(await start(data))).toBe(true);
  });
});

describe("flags", () => {
  it.each([
    [["--nonsense"], /unknown option '--nonsense'/],
    [["--dta", "x"], /Did you mean --data/],
    [["--grpc", "nowhere"], /Expected HOST:PORT/],
    [["--store", "postgres"], /Allowed choices are sqlite, etcd/],
    [["--store", "etcd"], /--store etcd is not available in this version; use --store sqlite/],
    [["--etcd-endpoints", "http://a"], /only for --store etcd/],
    [["extra"], /too many arguments/],
  ])("%j are refused with exit code 2", async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  it("come from the environment too", async () => {
    const data = temporaryFolder();
    const env = { WEFT_DATA: data, WEFT_GRPC: "127.0.0.1:0", WEFT_HTTP: "127.0.0.1:0", WEFT_LOG_LEVEL: "silent" };
    const program = await startProgram("weft-control-plane", [], { env });
    expect(program.ready).toMatchObject({ program: "weft-control-plane", data, revision: 0, pid: program.pid });
    expect(program.stderr).toBe("");
    const wrong = await runProgram("weft-control-plane", [], { env: { WEFT_GRPC: "x" } });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("WEFT_GRPC") });
  });

  it("count as not set where their variables are empty, and are no paths where they are empty themselves", async () => {
    const cwd = temporaryFolder();
    const env = { WEFT_DATA: "", WEFT_STORE: "", WEFT_LOG_LEVEL: "", WEFT_ETCD_ENDPOINTS: "" };
    const { ready } = await startProgram("weft-control-plane", FREE, { env, cwd });
    expect(ready).toMatchObject({ data: join(cwd, "weft-data") });
    expect(await run("--data", "")).toMatchObject({ code: 2, stderr: expect.stringContaining("--data") });
  });

  it("explain themselves", async () => {
    const { code, stdout } = await run("--help");
    expect(code).toBe(0);
    for (const word of ["--data", "WEFT_DATA", "--grpc", "--http", "--store", "--etcd-endpoints", "Examples:"])
      expect(stdout).toContain(word);
    expect((await run("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("a port that is taken", () => {
  it.each(["--grpc", "--http"])("for %s is named, with what to do, and nothing is left running", async (name) => {
    const taken = createServer();
    await new Promise<void>((listening) => taken.listen(0, "127.0.0.1", () => listening()));
    const bound = taken.address();
    const port = bound !== null && typeof bound === "object" ? bound.port : 0;
    const data = temporaryFolder();
    const { code, stdout, stderr } = await run(
      "--data",
      data,
      ...FREE,
      name,
      `127.0.0.1:${port}`,
      "--log-level",
      "warn",
    );
    taken.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      new RegExp(
        `^weft-control-plane: ${name} 127.0.0.1:${port}: port ${port} is already in use; stop what .*${name} HOST:PORT`,
      ),
    );
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(await isWorking(await start(data))).toBe(true);
  });
});

describe("garbage", () => {
  /** Sends bytes and waits until the other side closes or says something. */
  function poke(address: string, bytes: Buffer): Promise<void> {
    const [host = "", port = ""] = address.split(":");
    return new Promise((done) => {
      const socket: Socket = connect(Number(port), host, () => socket.end(bytes));
      socket.on("error", () => done()).on("close", () => done());
      socket.on("data", () => {});
    });
  }

  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const payloads: Record<string, Buffer> = {
    "random bytes": randomBytes(10_000),
    "an HTTP/1.1 request": Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a broken HTTP/1.1 request": Buffer.from("GET / HTTP/9.9\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"),
    "a TLS hello": Buffer.from("16030100c8010000c40303", "hex"),
    "an HTTP/2 preface and random frames": Buffer.concat([preface, randomBytes(5_000)]),
    "an HTTP/2 frame of 16 MB": Buffer.concat([preface, Buffer.from("ffffff000000000001", "hex")]),
    "nothing at all": Buffer.alloc(0),
  };

  it("on either port is answered or closed, and everyone else goes on", async () => {
    const program = await start(temporaryFolder());
    const sidecar = new FakeSidecar(program.address("grpc"));
    await sidecar.deltaCount(1);
    for (const payload of Object.values(payloads))
      for (const port of ["grpc", "http"])
        await within(10_000, poke(program.address(port), payload), () => `${port} did not close`);
    expect(await isWorking(program)).toBe(true);
    expect(sidecar.ended).toBeUndefined();
  });

  it("inside a gRPC message is refused with a status", async () => {
    const program = await start(temporaryFolder());
    const session = connectHttp2(`http://${program.address("grpc")}`).on("error", () => {});
    const call = (path: string, body: Buffer) =>
      new Promise<string>((done) => {
        const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
        const stream = session.request(headers);
        let code = "";
        stream.on("response", (head) => (code = String(head["grpc-status"] ?? code)));
        stream.on("trailers", (trailers) => (code = String(trailers["grpc-status"] ?? code)));
        stream.on("error", () => {}).on("close", () => done(code));
        stream.resume().end(body);
      });
    const framed = (body: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
    const nonsense = framed(randomBytes(200));
    expect(await call("/weft.v1.RulesService/Apply", framed(Buffer.alloc(30, 0xff)))).toBe("13");
    expect(await call("/weft.v1.DiscoveryService/Stream", framed(Buffer.alloc(30, 0xff)))).not.toBe("0");
    expect(await call("/weft.v1.RulesService/NoSuchMethod", nonsense)).toBe("12");
    expect(await call("/weft.v1.DiscoveryService/Stream", Buffer.from([9, 9, 9, 9, 9, 9, 9]))).not.toBe("0");
    session.destroy();
    // A message that cannot be read ends a stream that was fine until then, as a broken one.
    const raw = new Client(program.address("grpc"), credentials.createInsecure());
    const asIs = (bytes: Buffer) => bytes;
    const workload = Workload.fromPartial({ id: "w", service: "web", namespace: "default" });
    const hello = StreamRequest.create({ message: { $case: "hello", value: { workload } } });
    const stream = raw.makeBidiStreamRequest("/weft.v1.DiscoveryService/Stream", asIs, asIs, new Metadata());
    const ended = new Promise((done) => stream.on("error", done));
    stream.on("data", () => stream.write(Buffer.from("1a0b08ffffffffffffffffff01", "hex")));
    stream.write(Buffer.from(StreamRequest.encode(hello).finish()));
    expect(await ended).toMatchObject({ code: 13 });
    raw.close();
    const fleet = fleetClient(program.address("grpc"));
    const { sidecars } = await ask<ListSidecarsRequest, ListSidecarsResponse>(fleet, fleet.listSidecars, {
      namespace: "",
    });
    expect(sidecars.map(({ state }) => state)).toEqual([SyncState.SYNC_STATE_DISCONNECTED]);
  });
});

describe("health, reflection and figures", () => {
  const SERVICES = ["RulesService", "FleetService", "DiscoveryService"];

  /** Asks for the names of all services, as grpcurl does. */
  async function reflectedServices(address: string, version: "v1" | "v1alpha"): Promise<string[]> {
    const folder = join(REPOSITORY, "node_modules/@grpc/reflection/build/proto/grpc/reflection");
    const loaded = loadPackageDefinition(loadSync(join(folder, version, "reflection.proto"))) as never as {
      grpc: { reflection: Record<string, { ServerReflection: new (...args: unknown[]) => Reflector }> };
    };
    interface Reflector {
      ServerReflectionInfo(): ClientDuplexStream<unknown, { listServicesResponse: { service: { name: string }[] } }>;
      close(): void;
    }
    const { ServerReflection } = loaded.grpc.reflection[version] ?? expect.fail(`no reflection ${version}`);
    const reflector = new ServerReflection(address, credentials.createInsecure());
    const stream = reflector.ServerReflectionInfo();
    const answer = new Promise<string[]>((done, fail) =>
      stream
        .on("error", fail)
        .on("data", ({ listServicesResponse }) =>
          done(listServicesResponse.service.map(({ name }: { name: string }) => name)),
        ),
    );
    stream.write({ listServices: "*" });
    const names = await answer;
    stream.end();
    reflector.close();
    return names;
  }

  it("are served", async () => {
    const program = await start(temporaryFolder());
    const address = program.address("grpc");
    const health = loadPackageDefinition(loadSync(healthProto)) as never as {
      grpc: { health: { v1: { Health: new (...args: unknown[]) => Checker } } };
    };
    interface Checker {
      check(request: { service: string }, done: (error: unknown, response: { status: string | number }) => void): void;
      close(): void;
    }
    expect(healthService).toBeDefined();
    const checker = new health.grpc.health.v1.Health(address, credentials.createInsecure());
    for (const name of ["", ...SERVICES.map((service) => `weft.v1.${service}`)]) {
      const status = await new Promise((done) =>
        checker.check({ service: name }, (_error, { status }) => done(status)),
      );
      expect(status).toBe(1);
    }
    checker.close();
    for (const version of ["v1", "v1alpha"] as const) {
      expect(await reflectedServices(address, version)).toEqual(
        expect.arrayContaining(["grpc.health.v1.Health", ...SERVICES.map((name) => `weft.v1.${name}`)]),
      );
    }
    const http = `http://${program.address("http")}`;
    const sidecar = new FakeSidecar(address, { hello: { subscriptions: ["default/a"] } });
    await sidecar.deltaCount(1);
    await apply(rulesClient(address), service("a"));
    await sidecar.holds("service:default/a");
    const metrics = await eventually("a push is counted", async () => {
      const text = await (await fetch(`${http}/metrics`)).text();
      return text.includes('weft_push_duration_seconds_count{trigger="rules"} 1') && text;
    });
    expect(metrics).toMatch(/^weft_revision 1$/m);
    expect(metrics).toMatch(/^weft_documents\{kind="Service"\} 1$/m);
    expect(metrics).toMatch(/^weft_sidecars_connected 1$/m);
    for (const path of ["/healthz/live", "/healthz/ready", "/"]) expect((await fetch(http + path)).status).toBe(200);
    expect(await (await fetch(http)).text()).toContain("Weft control plane");
    expect((await fetch(`${http}/nothing`)).status).toBe(404);
    expect((await fetch(http, { method: "POST", body: "x" })).status).toBe(405);
  });
});

describe("a clean stop", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "on %s ends streams with a word, keeps everything and exits 0",
    async (signal) => {
      const data = temporaryFolder();
      const program = await start(data);
      const sidecar = new FakeSidecar(program.address("grpc"));
      await sidecar.deltaCount(1);
      program.signal(signal);
      expect(await program.exited).toEqual({ code: 0, signal: null });
      await eventually("the stream ended", () => sidecar.ended !== undefined);
      expect(sidecar.ended).toMatchObject({ code: 14, details: "the control plane is stopping" });
      expect(await isWorking(await start(data))).toBe(true);
    },
  );

  it("is cut short by a second signal", async () => {
    const program = await start(temporaryFolder());
    // A watch never ends by itself, so that the stop has something to wait for.
    rulesClient(program.address("grpc"))
      .watch({ kind: "", namespace: "" })
      .on("error", () => {});
    expect(await isWorking(program)).toBe(true);
    program.signal("SIGTERM");
    await eventually("stopping", () => program.stderr.includes("a second signal ends at once"));
    program.signal("SIGTERM");
    expect(await program.exited).toEqual({ code: 1, signal: null });
  });
});
