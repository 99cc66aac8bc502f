// What the end-to-end tests of the sidecar share: flags for free ports, an app in this process, requests through a
// listener, rule documents. Not tests.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type RunningProgram, startProgram } from "../harness.ts";

/** Every listener on a free port of the loopback. */
export const FREE_PORTS = [
  ...["--outbound", "127.0.0.1:0"],
  ...["--admin", "127.0.0.1:0"],
  ...["--status", "127.0.0.1:0"],
] as const;

export interface SidecarOptions {
  readonly flags?: readonly string[];
  /** The app's address; adds --app and an inbound listener on a free port. */
  readonly app?: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Arguments of a sidecar for `service`. */
export function sidecarArguments(service: string, { flags = [], app, command }: SidecarOptions = {}): string[] {
  const inbound = app === undefined ? [] : ["--app", app, "--inbound", "127.0.0.1:0"];
  return [
    "--service",
    service,
    ...FREE_PORTS,
    ...inbound,
    ...flags,
    ...(command === undefined ? [] : ["--", ...command]),
  ];
}

export function startSidecar(service: string, options: SidecarOptions = {}): Promise<RunningProgram> {
  return startProgram("weft-sidecar", sidecarArguments(service, options), { env: options.env ?? {} });
}

export interface App {
  readonly address: string;
  readonly server: Server;
  close(): Promise<void>;
}

type Handler = (incoming: IncomingMessage, answer: ServerResponse) => void;

/** An HTTP server in this process. */
export async function startHttpApp(handler: Handler | string, port = 0): Promise<App> {
  const answerWith: Handler = typeof handler === "string" ? (_incoming, answer) => answer.end(handler) : handler;
  const server = createServer(answerWith);
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  const close = () =>
    new Promise<void>((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server, close };
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
}

/** One request for `host` through the listener at `address`, on a connection of its own. */
export function call(address: string, host: string, path = "/", method = "GET"): Promise<Answer> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((settle, fail) => {
    const outgoing = request({ hostname, port, path, method, headers: { host }, agent: false }, (incoming) => {
      let body = "";
      incoming.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      incoming.on("end", () => {
        const reason = incoming.headers["x-weft-reason"];
        settle({ status: incoming.statusCode ?? 0, reason: typeof reason === "string" ? reason : "", body });
      });
      incoming.on("error", fail);
    });
    outgoing.on("error", fail);
    outgoing.end();
  });
}

/** A page of the admin or status server. */
export async function page(program: RunningProgram, server: "admin" | "status", path: string): Promise<Response> {
  return fetch(`http://${program.address(server)}${path}`);
}

/** A Service document with static endpoints. */
export function serviceDocument(name: string, ...addresses: string[]): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { endpoints: [${endpoints}] }
---
`;
}
