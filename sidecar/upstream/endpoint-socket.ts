// A socket to an endpoint, as far as the process has descriptors for one.
import { Socket } from "node:net";
import type { HostPort } from "../../runtime/address.ts";
import { type ByteReader, connectSocket } from "../../runtime/shared-socket.ts";
import type { SocketBudget } from "../../runtime/socket-budget.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";

/** An endpoint that vanished without a word is asked for by TCP after so much silence. */
const TCP_KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

/** What sockets to endpoints are made with. */
export interface SocketTools {
  readonly sockets: SocketBudget;
  readonly socketMode: SocketMode;
}

/**
 * Connects. Past the budget a connection that nobody uses is closed for it; where there is none the socket fails a moment later, as it
 * would without a descriptor.
 */
export function connectToEndpoint(target: HostPort, reader: ByteReader, { sockets, socketMode }: SocketTools): Socket {
  if (!sockets.makeRoom()) return new Socket().destroy(outOfSockets(sockets));
  sockets.endpoints++;
  const socket = connectSocket({ ...TCP_KEEP_ALIVE, host: target.host, port: target.port }, reader, socketMode);
  socket.once("close", () => sockets.endpoints--);
  return socket;
}

function outOfSockets({ clients, endpoints }: SocketBudget): NodeJS.ErrnoException {
  const message = `EMFILE: ${clients} connections of clients and ${endpoints} to endpoints leave no file descriptor`;
  return Object.assign(new Error(message), { code: "EMFILE" });
}
