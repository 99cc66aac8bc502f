// Two ends of one connection over the loopback device, for tests of what is written to sockets.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const servers: Server[] = [];
const sockets: Socket[] = [];

/** Ends all that was opened here; for `afterEach`. */
export function closeSockets(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
}

/** A server, and a socket that is about to be connected to it. */
export async function connecting(): Promise<{ server: Server; near: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  servers.push(server);
  server.on("connection", (far) => {
    far.on("error", () => {});
    sockets.push(far);
  });
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  near.on("error", () => {});
  sockets.push(near);
  return { server, near };
}

export interface SocketPair {
  readonly near: Socket;
  readonly far: Socket;
  /** What `far` has read until its end. */
  readonly whole: Promise<string>;
}

export async function socketPair(): Promise<SocketPair> {
  const { server, near } = await connecting();
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  let text = "";
  far.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  return { near, far, whole: once(far, "end").then(() => text) };
}
