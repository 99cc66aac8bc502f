// Instances of a gRPC service are replaced one after the other under calls of @grpc/grpc-js, unary ones and streams, none
// of which may be repeated: not one fails. Every process is a real one.
import { join } from "node:path";
import { status as Code } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { clientTo, fullDuplex, unary } from "../grpc-interop/calls.ts";
import { METHODS, zeros } from "../grpc-interop/messages.ts";
import { cleanUp, eventually, freePort, REPOSITORY, type RunningProgram } from "../harness.ts";
import { type Mesh, startMesh } from "../mesh.ts";
import { page, startSidecar } from "./sidecar-process.ts";

const instances: RunningProgram[] = [];
afterEach(async () => {
  await Promise.all(instances.splice(0).map((instance) => instance.stop()));
  await cleanUp();
});

const RESTARTS = 4;
const UNARY_LOOPS = 6;
const STREAM_LOOPS = 3;
/** Messages each way in one stream, with a pause between: about a second, less than an instance waits for it. */
const ROUNDS = 10;
const PAUSE_MS = 80;

async function startInstance(mesh: Mesh): Promise<RunningProgram> {
  const port = String(await freePort());
  const sidecar = await startSidecar("orders", {
    app: `127.0.0.1:${port}`,
    flags: ["--control-plane", mesh.server, "--drain", "10s"],
    command: [process.execPath, join(REPOSITORY, "test/grpc-interop/server.ts")],
    env: { PORT: port },
  });
  await eventually("it is announced", async () =>
    (await (await page(sidecar, "status", "/healthz/ready")).text()).includes("announced to other sidecars: yes"),
  );
  return sidecar;
}

/** A message, its answer, and again. @returns how the stream ended */
async function pingPong(client: ReturnType<typeof clientTo>): Promise<string> {
  const { call, ended, next } = fullDuplex(client);
  for (let round = 0; round < ROUNDS; round++) {
    call.write({ responseParameters: [{ size: 100 }], payload: zeros(100) });
    const answered = await next().then(
      () => true,
      () => false,
    );
    if (!answered) break;
    await new Promise((pass) => setTimeout(pass, PAUSE_MS));
  }
  call.end();
  const { code, details, responses } = await ended;
  return code === Code.OK && responses.length === ROUNDS ? "ok" : `stream ${code} ${details} after ${responses.length}`;
}

test(`${RESTARTS} restarts of two instances end no call`, async () => {
  const mesh = await startMesh();
  for (let count = 0; count < 2; count++) instances.push(await startInstance(mesh));
  const caller = await startSidecar("web", { flags: ["--control-plane", mesh.server] });
  const client = clientTo(caller.address("outbound"), "orders");
  await eventually("orders answers", async () => (await unary(client, METHODS.emptyCall, {})).code === Code.OK);
  const outcomes = new Map<string, number>();
  const note = (outcome: string): unknown => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  let isOver = false;
  const loops = [
    ...Array.from({ length: UNARY_LOOPS }, async () => {
      while (!isOver) {
        const { code, details } = await unary(client, METHODS.unaryCall, { responseSize: 1_000 });
        note(code === Code.OK ? "ok" : `${code} ${details}`);
        await new Promise((pass) => setTimeout(pass, 10));
      }
    }),
    ...Array.from({ length: STREAM_LOOPS }, async () => {
      while (!isOver) note(await pingPong(client));
    }),
  ];
  for (let restart = 0; restart < RESTARTS; restart++) {
    const old = instances.shift();
    expect(await old?.stop()).toEqual({ code: 0, signal: null });
    instances.push(await startInstance(mesh));
  }
  isOver = true;
  await Promise.all(loops);
  client.close();
  expect([...outcomes.keys()]).toEqual(["ok"]);
  expect(outcomes.get("ok")).toBeGreaterThan(100);
}, 120_000);
