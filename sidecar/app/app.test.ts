// The wrapped app as a real process, and the probe of its port.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { connectFromOwnPort, deadPort } from "../../runtime/testing/own-port.ts";
import { AppProbe, PROBE_UNTIL_UP_MS, PROBE_WHILE_UP_MS, tryConnect } from "./app-probe.ts";
import { startApp } from "./app-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function start(file: string, ...args: string[]) {
  const app = startApp({ file, args, env: process.env }, process.kill.bind(process), { stdio: "ignore" });
  closing.push(() => app.signal("SIGKILL"));
  return app;
}

describe("the exit code of the app", () => {
  test.each([
    ["its own", "exit 0", 0],
    ["its own when it fails", "exit 3", 3],
    ["128 + 15 when SIGTERM ended it", "kill -TERM $$", 143],
    ["128 + 9 when SIGKILL ended it", "kill -KILL $$", 137],
  ])("is %s", async (_what, script, code) => {
    expect(await start("sh", "-c", script).exited).toMatchObject({ code });
  });

  test("is 127 when there is no such command, with a word", async () => {
    expect(await start("/no/such/command").exited).toEqual({
      code: 127,
      reason: "could not be started: /no/such/command was not found",
    });
  });

  test("is 126 when it cannot be run", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weft-app-"));
    closing.push(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "text"), "just text", { mode: 0o644 });
    expect(await start(join(folder, "text")).exited).toMatchObject({ code: 126 });
  });
});

test("a signal reaches what the command started, too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-app-"));
  closing.push(() => rmSync(folder, { recursive: true }));
  const pidFile = join(folder, "pid");
  // The shell waits for a grandchild; ending only the shell would leave that behind.
  const app = start("sh", "-c", `sleep 60 & echo $! > ${pidFile}; wait`);
  let grandchild = 0;
  while (grandchild === 0) {
    await new Promise((next) => setImmediate(next));
    try {
      grandchild = Number(readFileSync(pidFile, "utf8"));
    } catch {}
  }
  app.signal("SIGTERM");
  expect(await app.exited).toMatchObject({ code: 143 });
  while (isRunning(grandchild)) await new Promise((next) => setImmediate(next));
  app.signal("SIGTERM"); // nobody is left to hear it
});

test("an app runs for as long as anything that it left behind", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-app-"));
  closing.push(() => rmSync(folder, { recursive: true }));
  const up = join(folder, "up");
  const stays = `(trap '' TERM; : > ${up}; while :; do sleep 0.05; done)`;
  const app = start("sh", "-c", `${stays} & while [ ! -e ${up} ]; do sleep 0.01; done; exit 7`);
  expect(await app.exited).toMatchObject({ code: 7 });
  expect(app.isRunning()).toBe(true);
  app.signal("SIGKILL");
  while (app.isRunning()) await new Promise((next) => setImmediate(next));
});

test("an app without anything left behind does not run when it has ended, or could not be started", async () => {
  const app = start("sh", "-c", "exit 0");
  expect(app.isRunning()).toBe(true);
  await app.exited;
  expect(app.isRunning()).toBe(false);
  expect(start("/no/such/command").isRunning()).toBe(false);
});

test.runIf(process.platform === "linux")("what has ended and nobody waits for does not run", async () => {
  // The inner shell becomes a program of another session, which does not know that it has a child.
  const app = start("sh", "-c", "sh -c 'exit 0 & exec setsid sleep 60' & sleep 0.2");
  expect(await app.exited).toMatchObject({ code: 0 });
  expect(() => process.kill(-app.pid, 0)).not.toThrow();
  expect(app.isRunning()).toBe(false);
});

test("what is told to end hears it once, also when the app ends before it", async () => {
  const sent: string[] = [];
  const send = (pid: number, signal: NodeJS.Signals | 0): boolean => {
    sent.push(String(signal));
    return process.kill(pid, signal);
  };
  const app = startApp({ file: "sleep", args: ["60"], env: process.env }, send);
  app.signal("SIGTERM");
  await app.exited;
  app.signal("SIGTERM");
  expect(sent).toEqual(["SIGTERM"]);
});

/** A process that ended and was not waited for yet (a zombie) does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("the probe of the app's port", () => {
  async function listen(port = 0): Promise<{ server: Server; port: number }> {
    const server = createServer((socket) => socket.on("error", () => {}).end("220 hello\r\n"));
    await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
    closing.push(() => server.close());
    return { server, port: (server.address() as { port: number }).port };
  }

  test("sees the app come, go and come back, often while it is not there", async () => {
    const { server, port } = await listen();
    await new Promise((closed) => server.close(closed));
    const clock = new ManualClock();
    const changes: boolean[] = [];
    const onChange = (isListening: boolean): void => void changes.push(isListening);
    const probe = new AppProbe({ address: { host: "127.0.0.1", port }, clock, onChange });
    closing.push(() => probe.stop());
    probe.start();
    await passing(clock, PROBE_UNTIL_UP_MS);
    expect(changes).toEqual([]);
    const up = await listen(port);
    await passing(clock, PROBE_UNTIL_UP_MS, () => changes.length === 1);
    await new Promise((closed) => up.server.close(closed));
    await passing(clock, PROBE_WHILE_UP_MS, () => changes.length === 2);
    await listen(port);
    await passing(clock, PROBE_UNTIL_UP_MS, () => changes.length === 3);
    expect(changes).toEqual([true, false, true]);
    probe.stop();
    expect(clock.pendingCount).toBe(0);
  });

  test("a connection that met itself was refused", async () => {
    const port = await deadPort();
    closing.push(connectFromOwnPort(port));
    expect(await tryConnect({ host: "127.0.0.1", port }, new ManualClock())).toBe("refused");
  });

  test("an address that does not answer is silent, not refused", async () => {
    const clock = new ManualClock();
    // A documentation address (RFC 5737): nobody answers there, and some networks say so at once.
    const outcome = tryConnect({ host: "192.0.2.1", port: 9 }, clock);
    clock.advance(1_000);
    expect(["silent", "refused"]).toContain(await outcome);
  });
});

/** Lets time pass in small steps, with the event loop running between them: so long, then until something is so. */
async function passing(clock: ManualClock, atLeastMs: number, isSo = () => true): Promise<void> {
  const startMs = clock.now();
  while (clock.now() - startMs < atLeastMs || !isSo()) {
    clock.advance(10);
    await new Promise((next) => setImmediate(next));
  }
}
