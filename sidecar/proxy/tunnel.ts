// Bytes both ways after an upgrade or a CONNECT, until both sides have ended theirs. Each side ends by itself
// (half-close); a side that fails takes the other with it.
import type { Attempt } from "./attempt.ts";
import type { Downstream } from "./contract.ts";

export class Tunnel {
  readonly #client: Downstream;
  readonly #attempt: Attempt;

  constructor(client: Downstream, attempt: Attempt) {
    this.#client = client;
    this.#attempt = attempt;
  }

  fromEndpoint(bytes: Buffer, start: number, end: number): void {
    this.#client.outlet.addBytes(bytes, start, end);
  }

  onEndpointEnd(): void {
    this.#client.outlet.flush();
    this.#client.endTunnelWrites();
  }

  fromClient(bytes: Buffer, start: number, end: number): void {
    this.#attempt.outlet.addBytes(bytes, start, end);
  }

  onClientEnd(): void {
    this.#attempt.outlet.flush();
    this.#attempt.endTunnelWrites();
  }
}
