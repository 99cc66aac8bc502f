// Whether the client's connection may be used again after the answer of one exchange (RFC 9112 section 9.3), and whether
// it is the client's turn to send.
import type { AttemptRecord, ExchangeRecord } from "../observe/exchange-record.ts";
import type { Downstream } from "./contract.ts";
import { type Failure, failure } from "./reasons.ts";

export class KeepAlive {
  /** The attempt whose endpoint told the client to go on with its body. */
  #continuedBy: AttemptRecord | undefined = undefined;
  /** There is no telling where the next request would begin. */
  mustClose = false;

  begin(): void {
    this.#continuedBy = undefined;
    this.mustClose = false;
  }

  /**
   * The endpoint of `attempt` says 100.
   * @returns whether it is for the client: one that another endpoint told to go on might send its content once more
   */
  takeContinue(attempt: AttemptRecord): boolean {
    this.#continuedBy ??= attempt;
    return this.#continuedBy === attempt;
  }

  /**
   * Nothing came of the request's content for too long. A client that asked for 100 may wait for it (RFC 9110 section
   * 10.1.1): where nobody has said it, the endpoint is the one that is late.
   */
  stopped({ head }: Downstream, { requestBytes }: ExchangeRecord): Failure {
    const isWaiting = head.expectContinue && this.#continuedBy === undefined && requestBytes === 0;
    if (isWaiting) return failure("stream-idle-timeout", "the endpoint did not say 100 Continue");
    return failure("client-timeout", "the request body stopped");
  }

  isAllowed({ head, isDraining, isRequestComplete }: Downstream): boolean {
    // Bytes that came for a refused tunnel may be anybody's: none of them is a request (RFC 9931).
    if (this.mustClose || !head.keepAlive || isDraining || head.isConnect) return false;
    // A client that waits for 100 and gets a final answer may or may not send the body (RFC 9110 section 10.1.1).
    return !head.expectContinue || isRequestComplete || this.#continuedBy !== undefined;
  }
}
