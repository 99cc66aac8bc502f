// Which endpoint the next attempt of an exchange goes to: the circuit breaker is asked, then the balancer, by the hash of
// the request where the policy hashes.

import { affinityCookieLine, type HashSource, hashedText, requestHash } from "../balance/hash-on.ts";
import { type Cluster, chooseEndpoint } from "../cluster.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { BreakerTickets } from "../cluster-state.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { REFUSED } from "../policy/breaker.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { type Failure, failure } from "./reasons.ts";
import { retryAfterLine } from "./respond.ts";

export class EndpointChoice implements HashSource {
  /** Why `next` chose nothing, and field lines for the answer. */
  refusal: Failure = failure("no-healthy-endpoint");
  refusalLines = "";
  readonly #path: DataPath;
  readonly #record: ExchangeRecord;
  readonly #destination: Destination;
  #hash = 0;
  #head: MessageHead | undefined = undefined;
  sourceAddress = "";

  constructor(path: DataPath, destination: Destination, record: ExchangeRecord) {
    this.#path = path;
    this.#destination = destination;
    this.#record = record;
  }

  /** A request goes to the destination. Hashes it if its policy says so; a cookie that it lacks goes into the answer. */
  begin(head: MessageHead, sourceAddress: string): void {
    const destination = this.#destination;
    const hashOn = destination.cluster?.policy.loadBalancer.hashOn;
    if (hashOn === undefined) return;
    this.#head = head;
    this.sourceAddress = sourceAddress;
    let text = hashedText(hashOn, this);
    this.#head = undefined;
    if (text === undefined && hashOn.type === "cookie") {
      text = this.#path.requestIds.drawText();
      destination.responseLines += affinityCookieLine(hashOn.name, text);
    }
    this.#hash = requestHash(text, this.#path.random);
  }

  get query(): string {
    return this.#head?.query ?? "";
  }

  header(lowerName: string): string | undefined {
    return lowerName === "host" ? this.#head?.authority : this.#head?.value(lowerName);
  }

  /**
   * The endpoint of the next attempt; undefined: see `refusal`.
   * @param again the endpoint that is tried once more
   * @param tickets what the breakers let through, for the attempt
   * @param nowMs the clock's time
   */
  next(
    tried: readonly EndpointMember[],
    again: EndpointMember | undefined,
    tickets: BreakerTickets,
    nowMs: number,
  ): EndpointMember | undefined {
    const { cluster, members } = this.#destination;
    if (cluster === undefined || members === undefined) return this.#refuse(failure("internal-error"), "");
    const { breaker } = cluster.state;
    tickets.service = breaker === undefined ? REFUSED : breaker.admit();
    if (breaker !== undefined && tickets.service === REFUSED) return this.#refuseOpen(cluster);
    const member = again ?? chooseEndpoint(cluster, members, tried, this.#hash, nowMs, this.#path.noSnapshot.tools);
    this.#record.skipped = members.skipped;
    if (member !== undefined) {
      tickets.endpoint = member.state.breaker?.admit() ?? REFUSED;
      return member;
    }
    breaker?.settle(tickets.service, "none", nowMs);
    return members.members.some(({ state }) => state.breaker?.isAdmitting === false)
      ? this.#refuseOpen(cluster)
      : this.#refuse(failure("no-healthy-endpoint", cluster.service), "");
  }

  /** An endpoint that is none of `taken`; undefined when there is no other, or a breaker lets nothing through. */
  nextBeside(taken: readonly EndpointMember[], tickets: BreakerTickets, nowMs: number): EndpointMember | undefined {
    const { cluster } = this.#destination;
    const member = this.next(taken, undefined, tickets, nowMs);
    if (member === undefined || cluster === undefined || !taken.includes(member)) return member;
    cluster.state.giveBack(member.state, tickets, nowMs);
    return undefined;
  }

  #refuseOpen(cluster: Cluster): undefined {
    this.#record.note("circuit-breaker", cluster.service);
    const nowMs = this.#path.clock.now();
    const waits = [cluster.state, ...cluster.states.values()].map(({ breaker }) => breaker?.retryAfterMs(nowMs) ?? 0);
    const known = waits.filter((waitMs) => waitMs > 0);
    const lines = known.length === 0 ? "" : retryAfterLine(Math.min(...known));
    return this.#refuse(failure("circuit-open", cluster.service), lines);
  }

  #refuse(cause: Failure, lines: string): undefined {
    this.refusal = cause;
    this.refusalLines = lines;
    return undefined;
  }
}
