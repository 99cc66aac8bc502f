// Writes a built message: its text at once, a large body piece by piece as the socket drains.
import type { Socket } from "node:net";
import { type BuiltMessage, PIECE_BYTES } from "./messages.ts";

/** One for all sockets: nobody changes it. */
const piece = Buffer.alloc(PIECE_BYTES, "x");

export class PieceWriter {
  readonly #socket: Socket;
  #pieces = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("drain", () => this.#go());
  }

  write(message: BuiltMessage): void {
    this.#socket.write(message.text, "latin1");
    if (message.pieces === 0) return;
    this.#pieces += message.pieces;
    this.#go();
  }

  #go(): void {
    while (this.#pieces > 0) {
      this.#pieces--;
      if (!this.#socket.write(piece)) return;
    }
  }
}
