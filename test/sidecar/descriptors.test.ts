// A sidecar that has no file descriptor left: what fails for want of one is told apart from what endpoints do.
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cleanUp, eventually, type RunningProgram, temporaryFolder } from "../harness.ts";
import { page, startHttpApp, startSidecar } from "./sidecar-process.ts";

afterAll(cleanUp);

/** Every policy that would take a failed connection for the endpoint's fault. */
function rulesFor(addresses: readonly string[], protocol: string): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [${endpoints}] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  outlierDetection: { consecutiveErrors: 1, baseEjectionTime: 300s }
  circuitBreaker: { errorThresholdPercentage: 1, volumeThreshold: 1, resetTimeout: 300s }
  healthCheck: { tcp: {}, interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1000 }
`;
}

/** Releases of two services: one whose requests are copied to the canary, one with a fallback. */
function releaseRules(address: string): string {
  const service = (name: string): string => `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { endpoints: [{ address: "${address}" }] }
---
`;
  const release = (name: string): string => `${service(name)}${service(`${name}-v1`)}${service(`${name}-v2`)}
apiVersion: weft.mesh/v1
kind: Rollout
metadata: { name: ${name} }
spec: { service: ${name}, stable: ${name}-v1, canary: ${name}-v2, steps: [{ weight: 50 }] }
---
`;
  return `${release("orders")}${release("parcels")}${service("spare")}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: orders-v2 } } }]
      backendRefs: [{ name: orders }]
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: parcels-v1 }
spec: { targetRef: { kind: Service, name: parcels-v1 }, fallback: { service: spare } }
`;
}

/** As many files and sockets as `count` may be open; what is open stays open. */
function limitDescriptors({ pid }: RunningProgram, count: number): void {
  execFileSync("prlimit", ["--pid", String(pid), `--nofile=${count}:`]);
}

/** A client that stays connected. */
class Client {
  readonly socket: Socket;
  #received = "";

  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("latin1").on("data", (text: string) => {
      this.#received += text;
    });
  }

  async ask(host: string): Promise<string> {
    this.#received = "";
    this.socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    return eventually("an answer", () => this.#received.includes("\r\n\r\n") && this.#received);
  }
}

describe.skipIf(process.platform !== "linux")("without a file descriptor", () => {
  test.each(["http", "h2c"])(
    "towards endpoints of %s, requests are answered `overloaded` and nobody is ejected",
    async (protocol) => {
      const apps = await Promise.all([startHttpApp("one"), startHttpApp("two")]);
      const addresses = apps.map(({ address }) => address);
      const rules = join(temporaryFolder(), "rules.yaml");
      writeFileSync(rules, rulesFor(addresses, protocol));
      const sidecar = await startSidecar("web", { flags: ["--rules", rules] });
      const client = new Client(sidecar.address("outbound"));
      expect(await client.ask("nobody")).toContain("no-such-service");
      const before = readdirSync(`/proc/${sidecar.pid}/fd`).length;
      limitDescriptors(sidecar, 1);
      const answer = await client.ask("orders");
      expect(answer).toMatch(/^HTTP\/1.1 503 /);
      expect(answer).toContain("x-weft-reason: overloaded\r\n");
      expect(answer).toContain("EMFILE");
      limitDescriptors(sidecar, before + 100);
      const metrics = await (await page(sidecar, "status", "/metrics")).text();
      expect(metrics).toContain('weft_attempts_total{service="default/orders",outcome="overloaded"} 2');
      const clusters = await (await page(sidecar, "admin", "/clusters")).text();
      expect(clusters).toContain("default/orders::circuit_breaker::closed\n");
      for (const address of addresses) expect(clusters).toContain(`default/orders::${address}::health::healthy\n`);
      client.socket.destroy();
      await Promise.all(apps.map((app) => app.close()));
    },
  );

  test("no version of a release is judged by what could not be sent to it, whoever answers instead", async () => {
    const app = await startHttpApp("spare");
    const rules = join(temporaryFolder(), "rules.yaml");
    writeFileSync(rules, releaseRules(app.address));
    const sidecar = await startSidecar("web", { flags: ["--rules", rules] });
    const client = new Client(sidecar.address("outbound"));
    const judged = async () =>
      (await (await page(sidecar, "status", "/metrics")).text())
        .split("\n")
        .filter((line) => /^weft_(rollout_requests|mirrored_requests|fallbacks)_total.* [1-9]/.test(line));
    expect(await client.ask("nobody")).toContain("no-such-service");
    const before = readdirSync(`/proc/${sidecar.pid}/fd`).length;
    limitDescriptors(sidecar, 1);
    expect(await client.ask("orders")).toContain("x-weft-reason: overloaded\r\n");
    expect(await client.ask("parcels")).toContain("x-weft-reason: overloaded\r\n");
    limitDescriptors(sidecar, before + 100);
    expect(await judged()).toEqual([
      'weft_mirrored_requests_total{service="default/orders-v2",outcome="failed"} 1',
      'weft_fallbacks_total{service="default/parcels-v1",kind="service"} 1',
    ]);
    // With descriptors they are.
    expect(await client.ask("orders")).toMatch(/^HTTP\/1.1 200 /);
    expect(await judged()).toContainEqual(expect.stringMatching(/rollout_requests.*"default\/orders-v1".*"ok"/));
    client.socket.destroy();
    await app.close();
  });
});
