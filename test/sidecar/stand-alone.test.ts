// `--rules PATH`: a sidecar without a control plane, and its rules edited while it runs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, eventually, runProgram, temporaryFolder } from "../harness.ts";
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

async function startVersions(): Promise<[string, string]> {
  const versions = await Promise.all([startHttpApp("v1"), startHttpApp("v2")]);
  apps.push(...versions);
  return [versions[0].address, versions[1].address];
}

const route = (backend: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ backendRefs: [{ name: ${backend} }] }]
`;

describe("rules in a folder", () => {
  test("decide where calls go, and an edit changes it without a restart", async () => {
    const [v1, v2] = await startVersions();
    const folder = temporaryFolder();
    const services =
      serviceDocument("orders", v1) + serviceDocument("orders-v1", v1) + serviceDocument("orders-v2", v2);
    writeFileSync(join(folder, "services.yaml"), services);
    writeFileSync(join(folder, "route.yaml"), route("orders-v1"));
    const sidecar = await startSidecar("web", { flags: ["--rules", folder] });
    const outbound = sidecar.address("outbound");
    expect(await call(outbound, "orders")).toMatchObject({ status: 200, body: "v1" });
    expect(await call(outbound, "nobody")).toMatchObject({ status: 404, reason: "no-such-service" });
    expect((await page(sidecar, "status", "/healthz/ready")).status).toBe(200);

    writeFileSync(join(folder, "route.yaml"), route("orders-v2"));
    await eventually("v2 answers", async () => (await call(outbound, "orders")).body === "v2");

    writeFileSync(join(folder, "route.yaml"), route("orders-v1").replace("rules:", "ruels:"));
    await eventually("the edit is refused", () => sidecar.stderr.includes("rules refused"));
    expect(sidecar.stderr).toMatch(/route\.yaml:6:\d+: spec\.ruels/);
    expect(await call(outbound, "orders")).toMatchObject({ status: 200, body: "v2" });
    const ready = await page(sidecar, "status", "/healthz/ready");
    expect(ready.status).toBe(200);
    expect(await ready.text()).toContain("not valid");
    expect(await (await page(sidecar, "status", "/metrics")).text()).toContain("weft_rules_valid 0\n");

    writeFileSync(join(folder, "route.yaml"), route("orders-v1"));
    await eventually("v1 answers again", async () => (await call(outbound, "orders")).body === "v1");
    expect(await (await page(sidecar, "status", "/metrics")).text()).toContain("weft_rules_valid 1\n");
  });
});

test("the access log goes to stdout when the Mesh document asks for it, and stops when it does not", async () => {
  const [v1] = await startVersions();
  const file = join(temporaryFolder(), "rules.yaml");
  const mesh = (isEnabled: boolean) => `apiVersion: weft.mesh/v1
kind: Mesh
metadata: { name: mesh }
spec: { accessLog: { enabled: ${isEnabled} } }
`;
  writeFileSync(file, serviceDocument("orders", v1) + mesh(true));
  const sidecar = await startSidecar("web", { flags: ["--rules", file, "--drain", "1s"] });
  await call(sidecar.address("outbound"), "orders", "/first");
  await eventually("the line is there", () => sidecar.stdout.includes("/first"));
  const line = JSON.parse(sidecar.stdout.split("\n")[1] ?? "") as object;
  expect(line).toMatchObject({ direction: "outbound", target: "/first", status: 200, service: "default/orders" });
  writeFileSync(file, serviceDocument("orders", v1) + mesh(false));
  await eventually("the rules are read again", () => sidecar.stderr.includes('"revision":2'));
  await call(sidecar.address("outbound"), "orders", "/second");
  expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  expect(sidecar.stdout).not.toContain("/second");
});

describe("at start", () => {
  test("rules that are not valid end with 2, with file, line and field", async () => {
    const file = join(temporaryFolder(), "rules.yaml");
    writeFileSync(file, route("orders").replace("rules:", "ruels:"));
    const result = await runProgram("weft-sidecar", sidecarArguments("web", { flags: ["--rules", file] }));
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/error: .*rules\.yaml:6:\d+: spec\.ruels/);
  });

  test("a path that is not there ends with 2 and names it", async () => {
    const file = join(temporaryFolder(), "none.yaml");
    const result = await runProgram("weft-sidecar", sidecarArguments("web", { flags: ["--rules", file] }));
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(file);
  });
});
