// The way out to a client that speaks bytes and no HTTP: of an answer it gets what comes through the tunnel, and
// nothing that the mesh would say in words.
import type { ByteSink, MessageOutlet } from "./contract.ts";
import { Outlet } from "./outlet.ts";

export class TcpOutlet implements MessageOutlet {
  readonly form = "wire";
  /** The head of the answer that the client does not get; "" before it, and in a tunnel. */
  refusal = "";
  readonly #outlet = new Outlet();
  #isOpen = false;

  attach(sink: ByteSink): void {
    this.#outlet.attach(sink);
  }

  detach(): void {
    this.#outlet.detach();
  }

  /** The tunnel stands: from now on bytes are the endpoint's. */
  open(): void {
    this.#isOpen = true;
    this.refusal = "";
  }

  get isFull(): boolean {
    return this.#outlet.isFull;
  }

  addHead(text: string): void {
    this.refusal = text;
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    if (this.#isOpen) this.#outlet.addBody(bytes, start, end);
  }

  addBodyText(): void {}

  end(): void {}

  flush(): void {
    this.#outlet.flush();
  }

  takeProgress(): boolean {
    return this.#outlet.takeProgress();
  }

  onDrain(): void {
    this.#outlet.onDrain();
  }
}
