// Sockets that read into one process-wide buffer (measured: 2.3 us less CPU per proxied request than a fresh Buffer
// for each read, and no garbage). The one file that knows how; everybody else sees net.Socket plus a reader.
//
// `net.connect({ onread })` is documented. For accepted sockets the same is reached by building a second Socket round
// the accepted handle, which is not documented, and neither are handles (stream-handle.ts): `chooseSocketMode()` tries both
// once at start, and where they fail plain 'data' events feed the same readers.
import { connect, createServer, Socket, type SocketConstructorOpts, type TcpNetConnectOpts } from "node:net";
import { latin1 } from "./latin1.ts";
import type { SocketMode } from "./socket-output.ts";
import { SocketWriter } from "./socket-writer.ts";
import { handleOf, readByHandle } from "./stream-handle.ts";

/** Takes what a socket reads. */
export interface ByteReader {
  /**
   * bytes[0, length) arrived. They must be consumed or copied before returning: the next read of ANY socket
   * overwrites them. To read no more for now, call `socket.pause()`.
   */
  onBytes(bytes: Buffer, length: number): void;
}

/** Large bodies move at 3.5 GB/s with 256 KiB and at 1.8 GB/s with 64 KiB. */
const SHARED_BUFFER_BYTES = 256 * 1024;
const sharedBuffer = Buffer.allocUnsafeSlow(SHARED_BUFFER_BYTES);

/** What Node keeps in an accepted socket and has no public name for. */
interface AcceptedInternals {
  _handle: unknown;
  _server: unknown;
  server: unknown;
}

/** Connects; `reader` is fed from the first byte on. Half-open sockets are allowed: the owner ends its side. */
export function connectSocket(target: TcpNetConnectOpts, reader: ByteReader, mode: SocketMode): Socket {
  const options = { ...target, allowHalfOpen: true, noDelay: true };
  if (mode === "data-events") return feedFromDataEvents(connect(options), reader);
  const socket = connect({ ...options, onread: onRead(reader) });
  if (mode === "handle") readByHandle(socket, reader, sharedBuffer);
  socket.resume();
  return socket;
}

/**
 * Takes over a socket accepted by a server with `pauseOnConnect` and `allowHalfOpen`. The socket returned stands for
 * the connection from now on; `accepted` must not be used any more. Reading starts with `resume()`.
 */
export function adoptSocket(accepted: Socket, reader: ByteReader, mode: SocketMode): Socket {
  if (mode === "data-events") return feedFromDataEvents(accepted, reader);
  const internals = accepted as unknown as AcceptedInternals;
  const adopted = new Socket({
    handle: internals._handle,
    allowHalfOpen: true,
    onread: onRead(reader),
  } as SocketConstructorOpts);
  // The server counts its connections through these; without them `close()` would never call back.
  const adoptedInternals = adopted as unknown as AcceptedInternals;
  adoptedInternals._server = internals._server;
  adoptedInternals.server = internals.server;
  internals._handle = null;
  internals._server = null;
  if (mode === "handle") readByHandle(adopted, reader, sharedBuffer);
  return adopted;
}

function onRead(reader: ByteReader): { buffer: Buffer; callback: (length: number) => boolean } {
  return {
    buffer: sharedBuffer,
    callback: (length) => {
      reader.onBytes(sharedBuffer, length);
      return true;
    },
  };
}

function feedFromDataEvents(socket: Socket, reader: ByteReader): Socket {
  socket.on("data", (chunk: Buffer) => reader.onBytes(chunk, chunk.length));
  return socket;
}

const TRY_TIMEOUT_MS = 5_000;

/** Tries sockets of both kinds against each other on the loopback device. Resolves to the best mode that works. */
export async function chooseSocketMode(): Promise<SocketMode> {
  for (const mode of ["handle", "shared"] as const) if (await works(mode)) return mode;
  return "data-events";
}

/** Sends as much as makes the kernel refuse some, and is told how much of it came. */
function works(mode: SocketMode): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const finish = (isRight: boolean): void => {
      server.close();
      resolve(isRight);
    };
    server.on("error", () => finish(false));
    server.on("connection", (accepted) => answer(accepted, mode));
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") return finish(false);
      tryOnce(address.port, mode, finish);
    });
  });
}

const PIECE = Buffer.alloc(16 * 1024, "shared read?");
/** No kernel takes as much for a peer that does not read. */
const PIECES_MAX = 4_000;

/** Is bytes[0, length) what stands in pieces from `position` on? */
function isOfPieces(bytes: Buffer, length: number, position: number): boolean {
  for (let at = 0; at < length; ) {
    const from = (position + at) % PIECE.length;
    const count = Math.min(length - at, PIECE.length - from);
    if (bytes.compare(PIECE, from, from + count, at, at + count) !== 0) return false;
    at += count;
  }
  return true;
}

/** Answers with how much was read, if it is right. */
function answer(accepted: Socket, mode: SocketMode): void {
  let length = 0;
  try {
    const onBytes = (bytes: Buffer, count: number): void => {
      length = isOfPieces(bytes, count, length) ? length + count : Number.NaN;
    };
    const adopted = adoptSocket(accepted, { onBytes }, mode);
    adopted.on("error", () => {});
    adopted.on("end", () => {
      new SocketWriter(adopted, mode, PIECE.length).write(String(length));
      adopted.end();
    });
    adopted.resume();
  } catch {
    accepted.destroy();
  }
}

function tryOnce(port: number, mode: SocketMode, finish: (isRight: boolean) => void): void {
  let text = "";
  let expected = "";
  const onBytes = (bytes: Buffer, length: number): void => {
    text += latin1(bytes, 0, length);
  };
  const socket = connectSocket({ host: "127.0.0.1", port }, { onBytes }, mode);
  socket.setTimeout(TRY_TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => {});
  socket.on("connect", () => {
    // Without handles the streams would do it all.
    if (mode === "handle" && handleOf(socket) === undefined) {
      socket.destroy();
      return;
    }
    const writer = new SocketWriter(socket, mode, PIECE.length);
    let pieces = 0;
    for (; writer.isEmpty && pieces < PIECES_MAX; pieces++) writer.writeBytes(PIECE);
    writer.write("shared");
    expected = String(pieces * PIECE.length + "shared".length);
    socket.end();
  });
  socket.on("close", () => finish(text !== "" && text === expected));
}
