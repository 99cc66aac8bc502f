// One connection of the app to a service of bytes: an exchange that begins when it is accepted, because nothing that the
// client says is waited for, and is a tunnel until both sides have ended. What the client sends before there is an
// endpoint is held. Not routing and not tries: those are the exchange's.
import type { Socket } from "node:net";
import { adoptSocket, type ByteReader } from "../../runtime/shared-socket.ts";
import { SocketWriter } from "../../runtime/socket-writer.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ClientLink, Downstream, LinkOwner, RequestBody } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Exchange } from "./exchange.ts";
import { plainAddress } from "./forwarding.ts";
import { Intake } from "./intake.ts";
import { linger } from "./linger.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";
import { failure } from "./reasons.ts";
import { TcpOutlet } from "./tcp-outlet.ts";
import type { TcpRouter } from "./tcp-router.ts";

/** "waiting" for an endpoint; "closing": what was written goes out, what comes is dropped. */
type TcpState = "waiting" | "tunnel" | "closing" | "closed";

const DRAINING = failure("draining");
const IDLE = failure("stream-idle-timeout");
/** A request without content. */
const NO_BODY: RequestBody = { form: "wire", useWireForm: () => {} };
const NO_CONTENT = { isAwaited: false };

export class TcpClient implements ClientLink, Downstream, ByteReader, PhaseOwner {
  readonly outlet = new TcpOutlet();
  readonly http2Head = undefined;
  readonly body = NO_BODY;
  /** The CONNECT that it stands for has come whole. */
  readonly isRequestComplete = true;
  readonly content = NO_CONTENT;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #owner: LinkOwner;
  readonly #path: DataPath;
  readonly #router: TcpRouter;
  readonly #exchange: Exchange;
  readonly #timer: PhaseTimer;
  readonly #intake = new Intake();
  #state: TcpState = "waiting";
  /** The client ended its side. */
  #hasEnded = false;

  constructor(accepted: Socket, owner: LinkOwner, path: DataPath, router: TcpRouter) {
    this.#owner = owner;
    this.#path = path;
    this.#router = router;
    this.remoteAddress = plainAddress(accepted.remoteAddress);
    const socket = adoptSocket(accepted, this, path.socketMode);
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, path.socketMode, path.limits.writeBufferBytes);
    this.outlet.attach(this.#writer);
    this.#intake.attach({ pauseReading: () => socket.pause(), resumeReading: () => socket.resume() });
    this.#exchange = new Exchange(this, path, router);
    this.#timer = new PhaseTimer(this, path.wheel, this.#exchange.tries);
    this.#listen(socket);
    this.#timer.arm("stream", path.limits.streamIdleTimeoutMs);
    socket.resume();
    this.#guard(() => {
      this.#exchange.begin();
      this.#exchange.request.flush();
    });
  }

  #listen(socket: Socket): void {
    socket.on("drain", () => {
      this.outlet.onDrain();
      this.#guard(() => this.#exchange.onClientDrain());
    });
    socket.on("end", () => this.#guard(() => this.#onEnd()));
    socket.on("error", () => {});
    socket.on("close", () => this.#guard(() => this.#onClose()));
  }

  get head(): MessageHead {
    return this.#router.head;
  }

  get isDraining(): boolean {
    return this.#owner.isDraining;
  }

  // ---- bytes in ----

  onBytes(bytes: Buffer, length: number): void {
    if (this.#state === "tunnel") this.#pass(bytes, length);
    else if (this.#state === "waiting") {
      this.#intake.hold(bytes, 0, length);
      this.#intake.update();
    }
  }

  #pass(bytes: Buffer, length: number): void {
    this.#timer.hasMoved = true;
    try {
      this.#exchange.tunnel.fromClient(bytes, 0, length);
      this.#exchange.request.flush();
    } catch (error) {
      this.#onError(error);
    }
  }

  // ---- for the exchange ----

  pauseReading(): void {
    this.#intake.isPaused = true;
    this.#intake.update();
  }

  resumeReading(): void {
    this.#intake.isPaused = false;
    this.#intake.update();
  }

  noteActivity(): void {
    this.#timer.hasMoved = true;
  }

  /** That of policies is for answers; a tunnel has a time of its own. */
  setIdleTimeout(): void {}

  startTunnel(): void {
    this.#state = "tunnel";
    this.outlet.open();
    this.#timer.arm("stream", this.#path.limits.tunnelIdleTimeoutMs);
    const { held, hasHeld } = this.#intake;
    this.#intake.hasHeld = false;
    if (hasHeld) this.#pass(held, held.length);
    if (this.#hasEnded) this.#exchange.tunnel.onClientEnd();
    this.#intake.update();
  }

  endTunnelWrites(): void {
    this.#writer.end();
  }

  /** Without a tunnel there is nothing to say: the client's connection is reset. */
  onExchangeDone(): void {
    if (this.#state === "waiting") {
      this.#router.onRefused(this.outlet.refusal, this.#exchange.record);
      this.reset();
    } else if (this.#state === "tunnel") this.#close();
  }

  reset(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#writer.reset();
  }

  // ---- ends ----

  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#state === "tunnel") this.#exchange.tunnel.onClientEnd();
  }

  /** Both sides have ended: what was written goes out. */
  #close(): void {
    this.outlet.flush();
    this.#state = "closing";
    this.#intake.detach();
    this.#writer.end();
    linger(this.#socket, !this.#writer.isEmpty, this.#timer, this.#path.limits);
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer.release();
    this.#intake.detach();
    this.#exchange.onClientGone();
    this.outlet.detach();
    this.#owner.onLinkClosed(this);
  }

  /** A tunnel is always in progress: it ends when its sides do, or is cut. */
  drain(): void {}

  destroy(): void {
    this.#guard(() => this.#exchange.fail(DRAINING));
    if (!this.#writer.isResetting) this.#socket.destroy();
  }

  onTimeout(phase: Phase): void {
    if (phase === "linger") this.#socket.destroy();
    else this.#guard(() => this.#exchange.fail(IDLE));
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A bug: it ends the exchange in progress; without one the connection alone is left to end. */
  #onError(error: unknown): void {
    const wasIdle = this.#exchange.state === "idle";
    this.#exchange.onInternalError("client", error);
    if (wasIdle) this.reset();
  }
}
