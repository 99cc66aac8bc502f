// A copy of a request to another service, whose answer is thrown away (RequestMirror of the Gateway API). Bounded in
// number and bytes, dropped before it could cost the primary anything, never repeated.
import type { Random } from "../../runtime/random.ts";
import { type HashSource, hashedText, requestHash } from "../balance/hash-on.ts";
import { type Cluster, chooseEndpoint, membersFor } from "../cluster.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { MirrorSpan } from "../observe/tracing/mirror-span.ts";
import type { MirrorFilter } from "../route/rule-plan.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Attempt } from "./attempt.ts";
import { BodyLog } from "./body-log.ts";
import type { AttemptOwner } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { newAttempt } from "./new-attempt.ts";
import { isOwnLack } from "./outcome.ts";
import { isHttp2Hop, namedPort } from "./protocol.ts";
import type { Failure } from "./reasons.ts";

/** Copies under way together in this process, and what their bodies hold together; more are dropped. */
const MIRRORS_MAX = 128;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** A body larger than this is not copied. */
const MIRROR_BODY_BYTES_MAX = 64 * 1024;
/** Of an answer nobody reads no more is taken than this. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Copies are given up after this, as requests are by default. */
const MIRROR_TIMEOUT_MS = 15_000;

let underWay = 0;
let bodyBytes = 0;

export class Mirror implements AttemptOwner {
  readonly isRequestComplete = true;
  readonly tunnel = undefined;
  readonly #path: DataPath;
  readonly #service: string;
  readonly #member: EndpointMember;
  readonly #method: string;
  readonly #headText: string;
  readonly #chunks: boolean;
  #trailers = "";
  readonly #body = new BodyLog();
  readonly #attempt: Attempt;
  #isOver = false;
  #span: MirrorSpan | undefined = undefined;
  /** All of the request is there. */
  #isComplete = false;
  /** When the copy went out; 0 before. */
  #sentMs = 0;
  #status = 0;
  /** How it ended says something about who was to answer it. */
  #isJudged = true;
  #answerBytes = 0;

  /**
   * Begins a copy if this request falls into the filter's share and there is room. It is sent when all of the request
   * is there.
   * @param headText the head as the primary gets it
   */
  static start(
    filter: MirrorFilter,
    path: DataPath,
    snapshot: Snapshot,
    head: MessageHead,
    headText: string,
    record: ExchangeRecord,
  ): Mirror | undefined {
    if (filter.methods !== undefined && !filter.methods.includes(head.method)) return undefined;
    if (path.random.next() * filter.denominator >= filter.numerator) return undefined;
    const { service, port } = filter;
    const entry = snapshot.services.get(service);
    if (entry === undefined) return drop(path, service, "no-endpoint", record);
    const { cluster } = entry;
    const hash = hashOf(cluster, head, record, path.random);
    const nowMs = path.clock.now();
    const member = chooseEndpoint(cluster, membersFor(cluster, port), [], hash, nowMs, snapshot.tools);
    if (member === undefined) return drop(path, service, "no-endpoint", record);
    if (underWay >= MIRRORS_MAX || bodyBytes >= BODY_BYTES_MAX) return drop(path, service, "overflow", record);
    if (isBusy(member, cluster)) return drop(path, service, "busy", record);
    if (head.upgrade) return drop(path, service, "upgrade", record);
    record.note("mirror", service);
    const isHttp2 = isHttp2Hop(namedPort(entry.resource, port), cluster.isMesh, head);
    const text = snapshot.mesh.headers.shadowHost ? withShadowHost(headText) : headText;
    return new Mirror(path, service, member, head, text, isHttp2);
  }

  private constructor(
    path: DataPath,
    service: string,
    member: EndpointMember,
    head: MessageHead,
    headText: string,
    isHttp2: boolean,
  ) {
    underWay++;
    this.#path = path;
    this.#service = service;
    this.#member = member;
    this.#method = head.method;
    this.#chunks = head.framing === "chunked";
    this.#headText = headText;
    this.#attempt = newAttempt(this, path, isHttp2);
  }

  /** The copy is span `spanId` of the trace of the request that it copies. */
  trace(record: ExchangeRecord, spanId: string): void {
    const { address, endpoint } = this.#member;
    const to = { service: this.#service, address, version: endpoint.version };
    this.#span = new MirrorSpan(record, spanId, to, this.#path.tracing);
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver) return;
    if (this.#body.bytes + end - start > MIRROR_BODY_BYTES_MAX) this.#finish("body-too-large");
    else if (bodyBytes + end - start > BODY_BYTES_MAX) this.#finish("overflow");
    else {
      bodyBytes += end - start;
      this.#body.addBytes(bytes, start, end);
    }
  }

  /** All of the request is there: the copy goes out, after what the primary does in this turn. */
  end(trailers: string): void {
    this.#isComplete = true;
    this.#trailers = trailers;
    this.#path.clock.after(0, () => {
      this.#sentMs = this.#path.clock.now();
      if (!this.#isOver) this.#start();
      this.#attempt.outlet.flush();
    });
  }

  #start(): void {
    const { address, endpoint } = this.#member;
    // Its time runs from there.
    this.#attempt.record.begin("mirror", this.#service, address, endpoint.version, this.#sentMs);
    this.#attempt.start(this.#member, this.#method, "", MIRROR_TIMEOUT_MS, false);
  }

  /** The request came to an end before its body did. */
  cancel(): void {
    if (!this.#isComplete) this.#finish("cancelled");
  }

  onAttemptOpen(): void {
    const { outlet } = this.#attempt;
    outlet.addHead(this.#headText, this.#chunks);
    this.#body.sendTo(outlet);
    // HTTP/1.1 has a place for trailers behind chunks only.
    outlet.end(outlet.form === "wire" && !this.#chunks ? "" : this.#trailers);
  }

  onInterimHead(): void {}

  wantsRetry(): boolean {
    return false;
  }

  onResponseHead(head: MessageHead): BodyForm {
    this.#status = head.status;
    return "data";
  }

  onResponseBody(_: Buffer, start: number, end: number): void {
    this.#answerBytes += end - start;
    if (this.#answerBytes > ANSWER_BYTES_MAX) this.#finish("answered");
  }

  onResponseEnd(): void {
    this.#finish("answered");
  }

  onTunnelOpen(): void {
    this.#finish("answered");
  }

  onReadDone(): void {}

  onAttemptDrain(): void {}

  onAttemptFailed(cause: Failure): void {
    this.#isJudged = !isOwnLack(cause, this.#attempt);
    this.#finish("failed");
  }

  onRetryableAnswer(): void {}

  onInternalError(): void {
    this.#finish("failed");
  }

  #finish(outcome: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    underWay--;
    bodyBytes -= this.#body.bytes;
    this.#body.clear();
    this.#attempt.abort();
    this.#attempt.rest();
    this.#span?.end(outcome, this.#attempt.record, this.#path.clock.now());
    this.#path.metrics.mirrored.cell(this.#service, outcome).value++;
    if (this.#isJudged && (outcome === "answered" || outcome === "failed"))
      this.#record(outcome === "answered" ? this.#status : 502);
  }

  /** Answers of copies are judged as those of requests are, apart from them. */
  #record(status: number): void {
    const { version } = this.#member.endpoint;
    const service = this.#service;
    const cell = this.#path.metrics.trafficCell({ service, backend: service, version, route: "", kind: "mirror" });
    cell.record(status, "", this.#path.clock.now() - this.#sentMs);
  }
}

/** By the policy of the service that gets the copy, as for any request to it. */
function hashOf({ policy }: Cluster, head: MessageHead, { remoteAddress }: ExchangeRecord, random: Random): number {
  const { hashOn } = policy.loadBalancer;
  if (hashOn === undefined) return 0;
  const source: HashSource = {
    header: (lowerName) => (lowerName === "host" ? head.authority : head.value(lowerName)),
    query: head.query,
    sourceAddress: remoteAddress,
  };
  return requestHash(hashedText(hashOn, source), random);
}

/**
 * Copies take what requests leave: none is sent to an endpoint where requests wait for a connection, or most connections
 * are taken.
 */
function isBusy({ state: { pool, streams } }: EndpointMember, { policy }: Cluster): boolean {
  if (pool.pendingCount > pool.connectingCount || streams.pendingCount > 0) return true;
  return pool.idleCount === 0 && (pool.leasedCount + pool.connectingCount) * 2 > policy.connectionPool.maxConnections;
}

/** As Envoy does it: `orders:80` becomes `orders-shadow:80`. */
function withShadowHost(headText: string): string {
  return headText.replace(/^(host:[ \t]*)([^\s:]+)/im, "$1$2-shadow");
}

function drop(path: DataPath, service: string, outcome: string, record: ExchangeRecord): undefined {
  record.note("mirror-dropped", service);
  path.metrics.mirrored.cell(service, outcome).value++;
  return undefined;
}
