// One client connection of a load: sends a pre-built request, finds the end of its answer, tells its owner. Raw
// sockets without pipelining.
import type { Socket } from "node:net";
import { type ByteReader, connectSocket } from "../../runtime/shared-socket.ts";
import type { Target, Workload } from "./contract.ts";
import { MessageEnd } from "./message-end.ts";
import { type BuiltMessage, buildRequest } from "./messages.ts";
import { PieceWriter } from "./piece-writer.ts";

export interface ClientOwner {
  onConnected(client: Client): void;
  onAnswer(client: Client): void;
  /** The answer was not 200, or the connection ended too soon; the connection is gone. */
  onFailure(client: Client, why: string): void;
}

export class Client implements ByteReader {
  /** When the request that is under way should have left, in milliseconds. */
  dueMs = 0;
  readonly #owner: ClientOwner;
  readonly #socket: Socket;
  readonly #writer: PieceWriter;
  readonly #request: BuiltMessage;
  readonly #end = new MessageEnd();
  #isOver = false;

  constructor(owner: ClientOwner, target: Target, workload: Workload, number: number) {
    this.#owner = owner;
    this.#request = buildRequest(workload, number);
    this.#end.expect(workload.response, workload.responseBytes);
    this.#socket = connectSocket({ host: target.host, port: target.port }, this, "handle");
    this.#writer = new PieceWriter(this.#socket);
    this.#socket.on("connect", () => owner.onConnected(this));
    this.#socket.on("error", (error) => this.#fail(error.message));
    this.#socket.on("end", () => this.#fail("the connection ended"));
    this.#socket.on("close", () => this.#fail("the connection was closed"));
  }

  send(): void {
    this.#writer.write(this.#request);
  }

  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  onBytes(bytes: Buffer, length: number): void {
    const at = this.#end.take(bytes, 0, length);
    if (at < 0) return;
    if (this.#end.statusClass !== 2) return this.#fail(bytes.latin1Slice(0, Math.min(length, 200)));
    if (at < length) return this.#fail("bytes behind the answer");
    this.#owner.onAnswer(this);
  }

  #fail(why: string): void {
    if (this.#isOver) return;
    this.close();
    this.#owner.onFailure(this, why);
  }
}
