// Stand-alone rules on real files: first load, reload, and what an invalid edit does not do.
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseResource } from "../../../rules/resource-check.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { silentLog } from "../../../runtime/log.ts";
import { Configuration } from "../configuration.ts";
import { StandAloneRules } from "./stand-alone.ts";

let folder = "";
const stopping: (() => Promise<void>)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-rules-"));
});
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop();
  rmSync(folder, { recursive: true, force: true });
});

function service(name: string, address = "127.0.0.1:8080"): string {
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec:
  ports: [{ port: 80, protocol: http }]
  endpoints: [{ address: "${address}" }]
`;
}

function standAlone(path: string, version = "", clock = systemClock) {
  const configuration = new Configuration({ parse: parseResource, publish: () => {}, wall: () => 0 });
  const applied = { count: 0 };
  const rules = new StandAloneRules({
    path,
    service: "default/web",
    version,
    configuration,
    clock,
    log: silentLog(),
    onApplied: () => applied.count++,
  });
  stopping.push(() => rules.stop());
  return { configuration, rules, applied };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((next) => setTimeout(next, 5));
}

describe("loading", () => {
  test("a folder brings in every YAML and JSON file, and nothing hidden", async () => {
    writeFileSync(join(folder, "a.yaml"), service("orders"));
    writeFileSync(join(folder, "b.yml"), service("payments"));
    writeFileSync(
      join(folder, "c.json"),
      JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Service", metadata: { name: "users" }, spec: {} }),
    );
    writeFileSync(join(folder, ".hidden.yaml"), service("hidden"));
    writeFileSync(join(folder, "notes.txt"), "not a rule");
    mkdirSync(join(folder, "deeper"));
    const { rules, configuration } = standAlone(folder);
    expect(await rules.load()).toEqual([]);
    expect([...configuration.held.keys()].sort()).toEqual([
      "endpoints:default/orders",
      "endpoints:default/payments",
      "endpoints:default/users",
      "inbound:default/web",
      "mesh",
      "service:default/orders",
      "service:default/payments",
      "service:default/users",
    ]);
    expect(configuration.origin).toBe("rules");
  });

  test("what is enforced on the way in is that of the service and of its version", async () => {
    const limit = (name: string) =>
      `apiVersion: weft.mesh/v1\nkind: RateLimit\nmetadata: { name: ${name} }\nspec: { targetRef: { kind: Service, name: ${name} }, limits: [{ requests: 1, per: 1s }] }\n---\n`;
    writeFileSync(join(folder, "limits.yaml"), ["web", "web-v2", "web-v3"].map(limit).join(""));
    const { rules, configuration } = standAlone(folder, "v2");
    expect(await rules.load()).toEqual([]);
    const inbound = [...configuration.held.keys()].filter((name) => name.startsWith("inbound:"));
    expect(inbound.sort()).toEqual(["inbound:default/web", "inbound:default/web-v2"]);
  });

  test("says file, line and field of what is wrong, and applies nothing", async () => {
    writeFileSync(join(folder, "good.yaml"), service("orders"));
    writeFileSync(
      join(folder, "web.yaml"),
      "apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: web }\nspec: { prots: [] }\n",
    );
    const { rules, configuration } = standAlone(folder);
    const problems = await rules.load();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/web\.yaml:4:\d+: spec\.prots/);
    expect(configuration.origin).toBe("none");
  });

  test("a path that is not there is a problem with its name", async () => {
    const { rules } = standAlone(join(folder, "none.yaml"));
    expect((await rules.load())[0]).toContain("none.yaml");
  });

  test("resolves at once: there is nobody to ask", async () => {
    writeFileSync(join(folder, "a.yaml"), service("orders"));
    const { rules } = standAlone(folder);
    await rules.load();
    const ask = (name: string) => new Promise((settle) => rules.resolve(name, settle));
    expect([await ask("default/orders"), await ask("default/nobody")]).toEqual(["known", "unknown"]);
  });

  test("a folder without rule files is no rules at all, which are in use", async () => {
    const { rules, configuration } = standAlone(folder);
    expect(await rules.load()).toEqual([]);
    expect(configuration.origin).toBe("rules");
    expect(rules.status.revision).toBe(1);
  });
});

describe("reloading", () => {
  test("a changed file is acted on, an equal one is not", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    const { rules, configuration, applied } = standAlone(file);
    await rules.load();
    await rules.watch();
    writeFileSync(file, service("orders"));
    writeFileSync(file, service("payments"));
    await until(() => configuration.holdsService("default/payments"));
    expect(configuration.holdsService("default/orders")).toBe(false);
    expect(applied.count).toBe(2);
    expect(configuration.revision).toBe(2);
  });

  test("a file that is empty is so only when it has stayed so: who writes it anew empties it first", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    let looks = 0;
    const wall = (): number => {
      looks++;
      return systemClock.wall();
    };
    const clock = { ...systemClock, wall };
    const { rules, configuration } = standAlone(file, "", clock);
    await rules.load();
    await rules.watch();
    writeFileSync(file, "");
    const begun = looks;
    await until(() => looks >= begun + 3);
    expect(configuration.holdsService("default/orders")).toBe(true);
    writeFileSync(file, service("payments"));
    await until(() => configuration.holdsService("default/payments"));
    expect(rules.status.reloads).toBe(2);
    writeFileSync(file, "");
    await until(() => !configuration.holdsService("default/payments"));
  });

  test("an invalid edit keeps what was there, says so, and its repair is taken", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    const { rules, configuration } = standAlone(file);
    await rules.load();
    await rules.watch();
    writeFileSync(file, `${service("payments")}oops: [`);
    await until(() => rules.status.failedReloads === 1);
    expect(rules.status.problems[0]).toContain("rules.yaml:");
    expect(configuration.holdsService("default/orders")).toBe(true);
    expect(configuration.holdsService("default/payments")).toBe(false);
    writeFileSync(file, service("payments"));
    await until(() => configuration.holdsService("default/payments"));
    expect(rules.status.problems).toEqual([]);
  });

  test("a file replaced by renaming, as editors do, is followed again and again", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("first"));
    const { rules, configuration } = standAlone(file);
    await rules.load();
    await rules.watch();
    for (const name of ["second", "third"]) {
      writeFileSync(join(folder, "new"), service(name));
      renameSync(join(folder, "new"), file);
      await until(() => configuration.holdsService(`default/${name}`));
    }
  });

  test("a mounted ConfigMap, whose files are links into a folder that is swapped, is followed", async () => {
    for (const version of ["1", "2"]) {
      mkdirSync(join(folder, `..${version}`));
      writeFileSync(join(folder, `..${version}`, "rules.yaml"), service(`version-${version}`));
    }
    symlinkSync("..1", join(folder, "..data"));
    symlinkSync(join("..data", "rules.yaml"), join(folder, "rules.yaml"));
    const { rules, configuration } = standAlone(folder);
    await rules.load();
    await rules.watch();
    expect(configuration.holdsService("default/version-1")).toBe(true);
    symlinkSync("..2", join(folder, "..next"));
    renameSync(join(folder, "..next"), join(folder, "..data"));
    await until(() => configuration.holdsService("default/version-2"));
  });

  test("a file that goes away keeps the rules, and one line says so; it may come back", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    const { rules, configuration } = standAlone(file);
    await rules.load();
    await rules.watch();
    unlinkSync(file);
    await until(() => rules.status.failedReloads === 1);
    expect(configuration.holdsService("default/orders")).toBe(true);
    writeFileSync(file, service("orders"));
    await until(() => rules.status.problems.length === 0);
  });

  test("a folder whose files have just gone may be one that gets others: its rules stay for a moment", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    let looks = 0;
    let goneMs: number | undefined;
    const wall = () => {
      if (goneMs === undefined) return systemClock.wall();
      looks++;
      return goneMs + 1_000;
    };
    const { rules, configuration } = standAlone(folder, "", { ...systemClock, wall });
    await rules.load();
    await rules.watch();
    unlinkSync(file);
    goneMs = statSync(folder).ctimeMs;
    await until(() => looks >= 4 || !configuration.holdsService("default/orders"));
    expect(configuration.holdsService("default/orders")).toBe(true);
  });

  test("the last file of a folder goes, and its rules with it, also soon after it changed", async () => {
    const file = join(folder, "rules.yaml");
    writeFileSync(file, service("orders"));
    const clock = { ...systemClock, wall: () => systemClock.wall() + 2_500 };
    const { rules, configuration } = standAlone(folder, "", clock);
    await rules.load();
    await rules.watch();
    unlinkSync(file);
    await until(() => !configuration.holdsService("default/orders"));
    expect(rules.status.problems).toEqual([]);
  });
});
