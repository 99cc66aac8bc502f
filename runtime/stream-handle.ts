// The handle under a socket, read from and written to without what a stream does around it. (Measured with 64 connections:
// 2 to 12 % less CPU per proxied request, because a stream keeps its state in several objects for each socket.) Node does
// not document handles, so this is the one file that knows them: what it needs is looked for once, tried at start
// (shared-socket.ts), and where it is not there the stream does the same. Not what waits: socket-output.ts.
import type { Socket } from "node:net";

/** What a write is asked with. One is used again and again; where the kernel does not take all of a write it stays that write's. */
interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Kept until then. */
  bytes?: Buffer;
}

export interface StreamHandle {
  onread: (this: StreamHandle, given: unknown) => void;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

interface Binding {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last call left to say, at these positions. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

function findBinding(): Binding | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<Binding> };
    const found = binding("stream_wrap");
    const isWhole =
      typeof found.WriteWrap === "function" &&
      found.streamBaseState instanceof Int32Array &&
      typeof found.kReadBytesOrError === "number" &&
      typeof found.kLastWriteWasAsync === "number";
    return isWhole ? (found as Binding) : undefined;
  } catch {
    return undefined;
  }
}

const binding = findBinding();
const state = binding?.streamBaseState ?? new Int32Array(0);
const readAt = binding?.kReadBytesOrError ?? 0;
const asyncAt = binding?.kLastWriteWasAsync ?? 0;
let request: WriteRequest | undefined = binding && new binding.WriteWrap();

/** The handle of a socket that is connected or connects; undefined where there is none that is understood. */
export function handleOf(socket: Socket): StreamHandle | undefined {
  if (binding === undefined) return undefined;
  const handle = (socket as unknown as { _handle: Partial<StreamHandle> | null })._handle;
  const isWhole =
    typeof handle?.onread === "function" &&
    typeof handle.writeLatin1String === "function" &&
    typeof handle.writeBuffer === "function";
  return isWhole ? (handle as StreamHandle) : undefined;
}

/** Bytes of the write under way that the kernel has not taken yet; 0 where that cannot be told. */
export function queuedBytes(socket: Socket): number {
  const handle = (socket as unknown as { _handle: { readonly writeQueueSize?: number } | null })._handle;
  return handle?.writeQueueSize ?? 0;
}

/** Takes what a socket reads. */
interface HandleReader {
  onBytes(bytes: Buffer, length: number): void;
}

/**
 * What `socket` reads comes to `reader` straight from its handle; an end and an error still come to the stream.
 * @param buffer that the socket reads into, by its `onread` option
 */
export function readByHandle(socket: Socket, reader: HandleReader, buffer: Buffer): void {
  const handle = handleOf(socket);
  if (handle === undefined) return;
  const toStream = handle.onread;
  handle.onread = function onread(given) {
    const length = state[readAt] as number;
    if (length > 0) reader.onBytes(buffer, length);
    else toStream.call(this, given);
  };
}

/** What came of a write: the kernel took all of it, or the rest waits in the process, or nothing was done. */
export type Written = "sent" | "under way" | "refused";

/** Who wrote something of which the rest waited. */
export interface HandleUser {
  /** It is with the kernel, or, where `status` is negative, an error came instead. */
  onWritten(status: number): void;
}

/** Latin1 text. */
export function writeText(handle: StreamHandle, text: string, user: HandleUser): Written {
  if (request === undefined) return "refused";
  return handle.writeLatin1String(request, text) === 0 ? settle(user, undefined) : "refused";
}

/** Bytes that nobody changes until all of them are written. */
export function writeBytes(handle: StreamHandle, bytes: Buffer, user: HandleUser): Written {
  if (request === undefined) return "refused";
  return handle.writeBuffer(request, bytes) === 0 ? settle(user, bytes) : "refused";
}

function settle(user: HandleUser, bytes: Buffer | undefined): Written {
  if (state[asyncAt] === 0 || request === undefined || binding === undefined) return "sent";
  request.oncomplete = (status) => user.onWritten(status);
  if (bytes !== undefined) request.bytes = bytes;
  request = new binding.WriteWrap();
  return "under way";
}
