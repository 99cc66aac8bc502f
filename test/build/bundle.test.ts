// In a checkout the programs run as the bundles that were made of their sources: the sidecar, its workers, and the process
// that compiles rules. What V8 says it has loaded is looked at.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, expect, test } from "vitest";
import { BUNDLES, bundledProgram } from "../../runtime/bundled-program.ts";
import { cleanUp, freePort, REPOSITORY, startProgram, temporaryFolder } from "../harness.ts";

afterEach(cleanUp);

const SERVICE = `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80 }], endpoints: [{ address: "127.0.0.1:1" }] }
`;

/** Files of this checkout that the processes of a sidecar have loaded, which leave this list behind where they end. */
function loadedBy(folder: string): Set<string> {
  const files = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Coverage);
  const urls = files.flatMap(({ result }) => result.map(({ url }) => url)).filter((url) => url.startsWith("file:"));
  return new Set(urls.map((url) => relative(REPOSITORY, url.slice("file://".length))));
}

interface Coverage {
  readonly result: readonly { readonly url: string }[];
}

test("a sidecar with workers and rules from a file loads no module of its sources but those that find its bundle", async () => {
  expect(bundledProgram("sidecar/program")).toBeDefined();
  const [folder, rules] = [temporaryFolder(), join(temporaryFolder(), "rules.yaml")];
  writeFileSync(rules, SERVICE);
  const port = await freePort();
  const args = ["--service", "shop", "--outbound", `127.0.0.1:${port}`, "--admin", "off", "--status", "off"];
  const sidecar = await startProgram("weft-sidecar", [...args, "--rules", rules, "--concurrency", "2"], {
    env: { NODE_V8_COVERAGE: folder },
  });
  expect((await sidecar.stop()).code).toBe(0);
  const loaded = loadedBy(folder);
  for (const program of ["sidecar/program", "sidecar/workers/main", "sidecar/discovery/stand-alone/main"])
    expect([...loaded]).toContain(`${BUNDLES}/${program}.js`);
  const sources = [...loaded].filter((file) => file.endsWith(".ts")).sort();
  expect(sources).toEqual(["runtime/bundled-program.ts", "sidecar/main.ts", "sidecar/relaunch.ts"]);
});
