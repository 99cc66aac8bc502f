// The service behind the proxies: answers every request with the same bytes, on several ports so that there is
// something to split. Raw sockets that read into one buffer: it must cost far less than any proxy in front of it.
import { createServer, type Server, type Socket } from "node:net";
import { adoptSocket, type ByteReader } from "../../runtime/shared-socket.ts";
import type { Workload } from "./contract.ts";
import { MessageEnd } from "./message-end.ts";
import { type BuiltMessage, buildResponse } from "./messages.ts";
import { PieceWriter } from "./piece-writer.ts";

const PORTS = 2;
const BACKLOG = 16_384;

export class Endpoint {
  #workload: Workload = { request: "none", requestBytes: 0, response: "length", responseBytes: 2 };
  #response: BuiltMessage = buildResponse(this.#workload);
  /** Connections set themselves to the workload when they find a newer one. */
  #generation = 0;

  get workload(): Workload {
    return this.#workload;
  }

  get response(): BuiltMessage {
    return this.#response;
  }

  get generation(): number {
    return this.#generation;
  }

  use(workload: Workload): void {
    this.#workload = workload;
    this.#response = buildResponse(workload);
    this.#generation++;
  }

  /** @returns its ports */
  async listen(): Promise<number[]> {
    const ports: number[] = [];
    for (let index = 0; index < PORTS; index++) ports.push(await this.#listenOnce());
    return ports;
  }

  #listenOnce(): Promise<number> {
    const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    server.on("connection", (socket) => new EndpointConnection(this, socket));
    return new Promise((settle) => {
      server.listen({ host: "127.0.0.1", port: 0, backlog: BACKLOG }, () => {
        const address = server.address();
        settle(address !== null && typeof address === "object" ? address.port : 0);
      });
    });
  }
}

class EndpointConnection implements ByteReader {
  readonly #endpoint: Endpoint;
  readonly #socket: Socket;
  readonly #end = new MessageEnd();
  readonly #writer: PieceWriter;
  #generation = -1;

  constructor(endpoint: Endpoint, accepted: Socket) {
    this.#endpoint = endpoint;
    this.#socket = adoptSocket(accepted, this, "handle");
    this.#writer = new PieceWriter(this.#socket);
    this.#socket.on("error", () => {});
    this.#socket.on("end", () => this.#socket.end());
    this.#socket.resume();
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.#generation !== this.#endpoint.generation) {
      this.#generation = this.#endpoint.generation;
      this.#end.expect(this.#endpoint.workload.request, this.#endpoint.workload.requestBytes);
    }
    for (let at = 0; at >= 0 && at < length; ) {
      at = this.#end.take(bytes, at, length);
      if (at >= 0) this.#writer.write(this.#endpoint.response);
    }
  }
}
