// A client's connection before it is known what is spoken on it: the first bytes tell, without waiting for anything else,
// because HTTP/2 begins with a preface that is no request of HTTP/1.1 (RFC 9113 section 3.4). Afterwards it only hands
// bytes on: the socket knows one reader for all its life.
import type { Socket } from "node:net";
import { adoptSocket, type ByteReader } from "../../runtime/shared-socket.ts";
import { PREFACE } from "../http2/frame.ts";
import { ClientConnection } from "./client-connection.ts";
import type { ClientLink, LinkOwner, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { plainAddress } from "./forwarding.ts";
import { Http2Client } from "./http2-client.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";

const NOTHING = Buffer.alloc(0);

export class ClientGreeting implements ClientLink, ByteReader, PhaseOwner {
  readonly #socket: Socket;
  readonly #remoteAddress: string;
  readonly #owner: LinkOwner;
  readonly #path: DataPath;
  readonly #router: Router;
  readonly #timer: PhaseTimer;
  #reader: ByteReader | undefined = undefined;
  /** A beginning that may still become the preface. */
  #held: Buffer = NOTHING;

  constructor(accepted: Socket, owner: LinkOwner, path: DataPath, router: Router) {
    this.#owner = owner;
    this.#path = path;
    this.#router = router;
    this.#remoteAddress = plainAddress(accepted.remoteAddress);
    this.#timer = new PhaseTimer(this, path.wheel);
    this.#socket = adoptSocket(accepted, this, path.readMode);
    this.#socket.on("error", () => {});
    this.#socket.on("end", () => this.#onEnd());
    this.#socket.on("close", () => this.#onClose());
    this.#timer.arm("idle", path.limits.clientIdleTimeoutMs);
    this.#socket.resume();
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.#reader !== undefined) this.#reader.onBytes(bytes, length);
    else if (this.#held === NOTHING) this.#read(bytes, length);
    else {
      const all = Buffer.concat([this.#held, bytes.subarray(0, length)]);
      this.#read(all, all.length);
    }
  }

  /** Nothing was asked yet. */
  drain(): void {
    this.#socket.end();
    this.#timer.arm("linger", this.#path.limits.lingerMs);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onTimeout(phase: Phase): void {
    // What came is the beginning of some request: it is answered that the rest did not come.
    if (phase === "head") this.#succeed(false, this.#held, this.#held.length);
    else this.#socket.destroy();
  }

  #read(bytes: Buffer, length: number): void {
    const matched = matchOf(bytes, length);
    if (matched === PREFACE.length) this.#succeed(true, bytes, length);
    // "P" alone may also be the first byte of POST: either way the rest is waited for.
    else if (matched === length) {
      this.#held = Buffer.from(bytes.subarray(0, length));
      if (this.#timer.phase !== "head") this.#timer.arm("head", this.#path.limits.headTimeoutMs);
    } else this.#succeed(false, bytes, length);
  }

  #succeed(isHttp2: boolean, bytes: Buffer, length: number): void {
    this.#timer.release();
    this.#held = NOTHING;
    for (const event of ["error", "end", "close"]) this.#socket.removeAllListeners(event);
    const Link = isHttp2 ? Http2Client : ClientConnection;
    const link = new Link(this.#socket, this.#remoteAddress, this.#owner, this.#path, this.#router);
    this.#reader = link;
    this.#owner.onSuccession(this, link);
    link.onBytes(bytes, length);
  }

  /** What came so far is no preface any more. */
  #onEnd(): void {
    const held = this.#held;
    if (held === NOTHING) this.#socket.end();
    else {
      this.#succeed(false, held, held.length);
      this.#socket.emit("end");
    }
  }

  #onClose(): void {
    this.#timer.release();
    this.#owner.onLinkClosed(this);
  }
}

/** How many bytes are those of the preface. */
function matchOf(bytes: Buffer, length: number): number {
  let at = 0;
  while (at < PREFACE.length && at < length && bytes[at] === PREFACE[at]) at++;
  return at;
}
