// A socket of a client as outlets write to it. Not its reading and not its end.
import type { Socket } from "node:net";
import type { ByteSink } from "./contract.ts";

/** Writes to a socket until as much as `bufferBytes` waits in it. */
export class SocketSink implements ByteSink {
  readonly #socket: Socket;
  readonly #bufferBytes: number;

  constructor(socket: Socket, bufferBytes: number) {
    this.#socket = socket;
    this.#bufferBytes = bufferBytes;
  }

  // A write that the kernel took whole leaves nothing queued, though Node says false to one above its high-water mark.

  write(text: string): boolean {
    return this.#socket.write(text, "latin1") || this.#socket.writableLength < this.#bufferBytes;
  }

  get isEmpty(): boolean {
    return this.#socket.writableLength === 0;
  }

  writeBytes(bytes: Buffer): boolean {
    return this.#socket.write(bytes) || this.#socket.writableLength < this.#bufferBytes;
  }
}
