// Files for one test, removed after it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach } from "vitest";

/** A function that writes a file in a fresh directory and gives its path; with "" the directory's own. */
export function scratchFiles(): (name: string, content?: string) => string {
  let directory: string | undefined;
  afterEach(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    directory = undefined;
  });
  return (name, content) => {
    directory ??= mkdtempSync(join(tmpdir(), "weft-cli-"));
    const path = join(directory, name);
    if (content !== undefined) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
    return path;
  };
}

export const ROUTE_YAML = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - backendRefs: [{ name: orders-v1, weight: 95 }, { name: orders-v2, weight: 5 }]
`;

export const SERVICE_YAML = `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: http }] }
`;
