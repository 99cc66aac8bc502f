// Whether the client's connection may be used again after the answer of one exchange (RFC 9112 section 9.3).
import type { Downstream } from "./contract.ts";

export class KeepAlive {
  /** The client was told to go on with its body. */
  hasContinued = false;
  /** There is no telling where the next request would begin. */
  mustClose = false;

  begin(): void {
    this.hasContinued = false;
    this.mustClose = false;
  }

  isAllowed({ head, isDraining, isRequestComplete }: Downstream): boolean {
    // Bytes that came for a refused tunnel may be anybody's: none of them is a request (RFC 9931).
    if (this.mustClose || !head.keepAlive || isDraining || head.isConnect) return false;
    // A client that waits for 100 and gets a final answer may or may not send the body (RFC 9110 section 10.1.1).
    return !head.expectContinue || isRequestComplete || this.hasContinued;
  }
}
