// The proxies that are compared, each a process on its own port in front of the same endpoint. A peer that is not
// installed is left out, with a word.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** The process that does the work, for its CPU time. */
  readonly pid: number;
  stop(): void;
}

/** Pins to a core where `taskset` exists. */
function pinned(core: number, command: string, args: readonly string[]): [string, string[]] {
  const works = spawnSync("taskset", ["-c", String(core), "true"]).status === 0;
  return works ? ["taskset", ["-c", String(core), command, ...args]] : [command, [...args]];
}

/** A Node process of this folder that prints `{"port": N}`. */
export async function startNode(core: number, script: string, args: readonly string[] = []): Promise<Peer> {
  const file = path.join(import.meta.dirname, script);
  const [command, all] = pinned(core, process.execPath, ["--max-semi-space-size=1", file, ...args]);
  const child = spawn(command, all, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, "data")) as [Buffer];
  return { name: "weft", port: JSON.parse(String(line)).port, pid: child.pid ?? 0, stop: () => child.kill("SIGKILL") };
}

/** The process that makes load; talks over IPC. */
export async function startLoad(core: number): Promise<ChildProcess> {
  const file = path.join(import.meta.dirname, "load.ts");
  const [command, all] = pinned(core, process.execPath, [file]);
  const child = spawn(command, all, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  await once(child, "message");
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function listens(port: number): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    const socket = connect(port, "127.0.0.1");
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens on ${port}`);
}

function isInstalled(command: string): boolean {
  return spawnSync(command, ["-v"]).status === 0;
}

async function startProgram(
  name: string,
  core: number,
  command: string,
  args: readonly string[],
  port: number,
): Promise<Peer> {
  const [program, all] = pinned(core, command, args);
  const child = spawn(program, all, { stdio: ["ignore", "ignore", "inherit"] });
  await listens(port);
  return { name, port, pid: child.pid ?? 0, stop: () => child.kill("SIGKILL") };
}

/** nginx, one process, `proxy_pass` with keep-alive on both sides; undefined when it is not installed. */
export async function startNginx(core: number, endpointPort: number): Promise<Peer | undefined> {
  if (!isInstalled("nginx")) return undefined;
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), "weft-bench-nginx-"));
  const file = path.join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log crit;
worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream endpoint { server 127.0.0.1:${endpointPort}; keepalive 4096; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / { proxy_pass http://endpoint; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
  );
  return startProgram("nginx", core, "nginx", ["-c", file], port);
}

/** HAProxy, one thread, keep-alive and reuse on both sides; undefined when it is not installed. */
export async function startHaproxy(core: number, endpointPort: number): Promise<Peer | undefined> {
  if (!isInstalled("haproxy")) return undefined;
  const port = await freePort();
  const file = path.join(mkdtempSync(path.join(tmpdir(), "weft-bench-haproxy-")), "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend front
  bind 127.0.0.1:${port} backlog 8192
  default_backend endpoint
backend endpoint
  server one 127.0.0.1:${endpointPort}
`,
  );
  return startProgram("haproxy", core, "haproxy", ["-db", "-f", file], port);
}
