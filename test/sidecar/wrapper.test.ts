// `weft-sidecar ... -- COMMAND`: the app starts when the sidecar is ready, and the sidecar ends as the app does.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, eventually, runProgram, startProgram, temporaryFolder } from "../harness.ts";
import {
  type App,
  call,
  page,
  serviceDocument,
  sidecarArguments,
  startHttpApp,
  startSidecar,
} from "./sidecar-process.ts";

const apps: App[] = [];
afterEach(async () => {
  await cleanUp();
  for (const app of apps.splice(0)) await app.close();
});

/** Stand-alone rules, so that the configuration is there at once. */
function rulesFile(...documents: string[]): string {
  const file = join(temporaryFolder(), "rules.yaml");
  writeFileSync(file, documents.join("") || serviceDocument("nobody"));
  return file;
}

function wrapping(command: readonly string[], ...documents: string[]): string[] {
  return sidecarArguments("web", { flags: ["--rules", rulesFile(...documents)], command });
}

const node = (script: string) => [process.execPath, "-e", script];

describe("the exit code", () => {
  test.each([
    ["of an app that ends well", "exit 0", 0],
    ["of an app that fails", "exit 3", 3],
    ["of an app that a signal ends, plus 128", "kill -KILL $$", 137],
  ])("is that %s", async (_what, script, code) => {
    expect(await runProgram("weft-sidecar", wrapping(["sh", "-c", script]))).toMatchObject({ code, signal: null });
  });

  test("is 127 where there is no such command, and stderr says so", async () => {
    const result = await runProgram("weft-sidecar", wrapping(["no-such-command"]));
    expect(result.code).toBe(127);
    expect(result.stderr).toContain("error: the app could not be started: no-such-command was not found");
    expect(result.stderr).not.toContain("app started");
  });
});

test("the app gets its arguments, stdin, stdout and the way to the mesh", async () => {
  const script =
    'process.stdin.on("data", (text) => console.log(process.argv[1], process.env.WEFT_OUTBOUND_URL, String(text)))';
  const args = wrapping([process.execPath, "-e", script, "--", "an argument"]);
  const result = await runProgram("weft-sidecar", args, { input: "from stdin" });
  const [ready = "", output] = result.stdout.split("\n");
  const { outbound } = JSON.parse(ready) as { outbound: string };
  expect(output).toBe(`an argument http://${outbound} from stdin`);
  expect(result.code).toBe(0);
});

test("the app does not inherit what the sidecar runs with", async () => {
  const isOwn = (name: string) => /MALLOC|COMPILE_CACHE|RELAUNCH/.test(name);
  const nothingOwn = Object.fromEntries(
    Object.keys(process.env)
      .filter(isOwn)
      .map((name) => [name, undefined]),
  );
  const result = await runProgram("weft-sidecar", wrapping(node("console.log(JSON.stringify(process.env))")), {
    env: { ...nothingOwn, FOR_THE_APP: "yes" },
  });
  const env = JSON.parse(result.stdout.split("\n")[1] ?? "") as Record<string, string>;
  expect(env["FOR_THE_APP"]).toBe("yes");
  expect(Object.keys(env).filter(isOwn)).toEqual([]);
});

test("a job calls the mesh at once, since it starts only when the rules are there", async () => {
  const app = await startHttpApp("hello from orders");
  apps.push(app);
  const script = `
    const { get } = require("node:http");
    const url = new URL(process.env.WEFT_OUTBOUND_URL);
    get({ host: url.hostname, port: url.port, headers: { host: "orders" } }, (answer) => answer.pipe(process.stdout));`;
  const result = await runProgram("weft-sidecar", wrapping(node(script), serviceDocument("orders", app.address)));
  expect(result.stdout.split("\n")[1]).toBe("hello from orders");
  expect(result.code).toBe(0);
});

describe("SIGTERM", () => {
  test("stops the app, whose calls still work while it ends, and exits with its code", async () => {
    const orders = await startHttpApp("fine");
    apps.push(orders);
    const script = `
      const { get } = require("node:http");
      const url = new URL(process.env.WEFT_OUTBOUND_URL);
      process.on("SIGTERM", () => setTimeout(() => {
        get({ host: url.hostname, port: url.port, headers: { host: "orders" } }, (answer) => {
          process.exit(answer.statusCode === 200 ? 21 : 22);
        }).on("error", () => process.exit(23));
      }, 600));
      console.log("app is up");
      setInterval(() => {}, 1000);`;
    const sidecar = await startProgram(
      "weft-sidecar",
      wrapping(node(script), serviceDocument("orders", orders.address)),
    );
    await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
    expect(await sidecar.stop()).toEqual({ code: 21, signal: null });
  });

  test("kills an app that does not end when the drain time is over", async () => {
    const script =
      'process.on("SIGTERM", () => console.log("no")); console.log("app is up"); setInterval(() => {}, 1000);';
    const flags = ["--rules", rulesFile(), "--drain", "500ms"];
    const sidecar = await startSidecar("web", { flags, command: node(script) });
    await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
    expect(await sidecar.stop()).toEqual({ code: 137, signal: null });
    expect(sidecar.stdout).toContain("no\n");
  });

  test("twice ends at once, and the app with it", async () => {
    const folder = temporaryFolder();
    const pidFile = join(folder, "pid");
    const script = `process.on("SIGTERM", () => {}); require("node:fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
      console.log("app is up"); setInterval(() => {}, 1000);`;
    const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command: node(script) });
    await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
    sidecar.signal("SIGTERM");
    await eventually("it drains", () => sidecar.stderr.includes('"draining"'));
    sidecar.signal("SIGTERM");
    expect(await sidecar.exited).toEqual({ code: 143, signal: null });
    const pid = Number(readFileSync(pidFile, "utf8"));
    await eventually("the app is gone", () => !isRunning(pid));
  });

  test("before there was a configuration: the app is not started at all", async () => {
    const flags = ["--control-plane", "127.0.0.1:1"];
    const sidecar = await startSidecar("web", { flags, command: node('console.log("app is up")') });
    expect(await sidecar.stop()).toEqual({ code: 143, signal: null });
    expect(sidecar.stdout).not.toContain("app is up");
  });
});

describe("an app behind a shell that does not wait for it to end", () => {
  /** The shell ends at the signal, the app only when it likes to. */
  function behindShell(script: string): string[] {
    return ["sh", "-c", '"$0" -e "$1" & wait', process.execPath, script];
  }

  function pidOf(stdout: string): number {
    return Number(/app is up as (\d+)/.exec(stdout)?.[1] ?? 0);
  }

  const STAYS =
    'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("app is up as", process.pid);';

  test("keeps the mesh until it has ended, and hears the signal once", async () => {
    const orders = await startHttpApp("fine");
    apps.push(orders);
    const script = `
      const { get } = require("node:http");
      const url = new URL(process.env.WEFT_OUTBOUND_URL);
      process.on("SIGTERM", () => {
        console.log("told");
        setTimeout(() => {
          get({ host: url.hostname, port: url.port, headers: { host: "orders" } }, (answer) => {
            console.log("answered", answer.statusCode);
            process.exit();
          }).on("error", () => process.exit());
        }, 600);
      });
      setInterval(() => {}, 1000);
      console.log("app is up as", process.pid);`;
    const sidecar = await startProgram(
      "weft-sidecar",
      wrapping(behindShell(script), serviceDocument("orders", orders.address)),
    );
    await eventually("the app is up", () => pidOf(sidecar.stdout) > 0);
    expect(await sidecar.stop()).toEqual({ code: 143, signal: null });
    expect(sidecar.stdout).toMatch(/\ntold\nanswered 200\n$/);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("is killed when the drain time after %s is over", async (signal) => {
    const flags = ["--rules", rulesFile(), "--drain", "500ms"];
    const sidecar = await startSidecar("web", { flags, command: behindShell(STAYS) });
    await eventually("the app is up", () => pidOf(sidecar.stdout) > 0);
    sidecar.signal(signal);
    expect(await sidecar.exited).toEqual({ code: signal === "SIGTERM" ? 143 : 130, signal: null });
    expect(isRunning(pidOf(sidecar.stdout))).toBe(false);
  });

  test("is killed by the second signal", async () => {
    const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command: behindShell(STAYS) });
    await eventually("the app is up", () => pidOf(sidecar.stdout) > 0);
    sidecar.signal("SIGTERM");
    await eventually("the shell has ended", () => sidecar.stderr.includes('"the app has ended"'));
    sidecar.signal("SIGTERM");
    expect(await sidecar.exited).toEqual({ code: 143, signal: null });
    await eventually("the app is gone", () => !isRunning(pidOf(sidecar.stdout)));
  });

  test("is killed soon after a shell that ends by itself, whose code is the sidecar's", async () => {
    const command = ["sh", "-c", '"$0" -e "$1" & sleep 1; exit 5', process.execPath, STAYS];
    const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command });
    await eventually("the app is up", () => pidOf(sidecar.stdout) > 0);
    expect(await sidecar.exited).toEqual({ code: 5, signal: null });
    expect(isRunning(pidOf(sidecar.stdout))).toBe(false);
  });
});

test("SIGINT reaches the app as SIGINT", async () => {
  const script = 'process.on("SIGINT", () => process.exit(33)); console.log("app is up"); setInterval(() => {}, 1000);';
  const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command: node(script) });
  await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
  sidecar.signal("SIGINT");
  expect(await sidecar.exited).toEqual({ code: 33, signal: null });
});

test("a signal that means nothing to the sidecar is passed on to the app", async () => {
  const script = 'process.on("SIGHUP", () => process.exit(44)); console.log("app is up"); setInterval(() => {}, 1000);';
  const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command: node(script) });
  await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
  sidecar.signal("SIGHUP");
  expect(await sidecar.exited).toEqual({ code: 44, signal: null });
});

test("/quitquitquit ends sidecar and app in order, by POST only", async () => {
  const script =
    'process.on("SIGTERM", () => process.exit(55)); console.log("app is up"); setInterval(() => {}, 1000);';
  const sidecar = await startSidecar("web", { flags: ["--rules", rulesFile()], command: node(script) });
  await eventually("the app is up", () => sidecar.stdout.includes("app is up"));
  expect((await page(sidecar, "admin", "/quitquitquit")).status).toBe(405);
  const answer = await fetch(`http://${sidecar.address("admin")}/quitquitquit`, { method: "POST" });
  expect(answer.status).toBe(200);
  expect(await sidecar.exited).toEqual({ code: 55, signal: null });
});

test("the mesh answers for a service of the rules while the app runs", async () => {
  const orders = await startHttpApp("fine");
  apps.push(orders);
  const sidecar = await startProgram(
    "weft-sidecar",
    wrapping(node("setInterval(() => {}, 1000)"), serviceDocument("orders", orders.address)),
  );
  expect(await call(sidecar.address("outbound"), "orders")).toEqual({ status: 200, reason: "", body: "fine" });
  await sidecar.stop();
});

/** A process that ended and was not waited for yet (a zombie) does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
