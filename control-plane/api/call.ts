// Between grpc-js and the services: handlers are plain functions that return or throw, failures become statuses,
// and server streams are bounded. No service's own logic.
import { type handleUnaryCall, type ServerWritableStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Log } from "../../runtime/log.ts";
import { STREAM_QUEUE_MAX, TAP_QUEUE_MAX } from "../limits.ts";
import { RevisionConflictError, RevisionNotFoundError } from "../store/contract.ts";

/** A failure that the caller can act on. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

type Failure = Pick<ServiceError, "code" | "details">;

/** A unary handler from a function that answers or throws. */
export function unary<Request, Response>(
  log: Log,
  handle: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(handle)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(failureOf(error, call.getPath(), log)),
      );
  };
}

/** What a caller is told of a failure; the unexpected is logged in full. */
export function failureOf(error: unknown, path: string, log: Log): Failure {
  if (error instanceof ApiError) return { code: error.code, details: error.message };
  if (error instanceof RevisionNotFoundError) return { code: status.NOT_FOUND, details: error.message };
  if (error instanceof RevisionConflictError) return { code: status.ABORTED, details: error.message };
  log.error({ err: error, path }, "a call failed");
  const details = error instanceof Error ? error.message : String(error);
  return { code: status.INTERNAL, details: `the control plane could not do it: ${details}` };
}

/** The sending side of a server stream: one that is read too slowly is ended instead of filling the memory. */
export class StreamWriter<Response> {
  readonly #call: ServerWritableStream<unknown, Response>;
  readonly #whenEnded: (() => void)[] = [];
  #isOpen = true;

  constructor(call: ServerWritableStream<unknown, Response>) {
    this.#call = call;
    for (const event of ["cancelled", "error", "close", "finish"]) call.once(event, () => this.#ended());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The reader is behind: what need not be told should not be written. */
  get isCrowded(): boolean {
    return this.#call.writableLength >= TAP_QUEUE_MAX;
  }

  /** For what is bounded by itself, such as a first list. */
  write(response: Response): void {
    if (this.#isOpen) this.#call.write(response);
  }

  /** For events, which may come faster than they are read. */
  event(response: Response): void {
    if (!this.#isOpen) return;
    if (this.#call.writableLength >= STREAM_QUEUE_MAX)
      this.fail({ code: status.RESOURCE_EXHAUSTED, details: "events are not read as fast as they come; start again" });
    else this.#call.write(response);
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#ended();
    this.#call.end();
  }

  fail(failure: Failure): void {
    if (!this.#isOpen) return;
    this.#ended();
    this.#call.emit("error", failure);
  }

  /** Calls back once when the stream is over, whoever ended it. */
  onEnd(callback: () => void): void {
    if (this.#isOpen) this.#whenEnded.push(callback);
    else callback();
  }

  #ended(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const callback of this.#whenEnded.splice(0)) callback();
  }
}
