// What a request from outside passes before it reaches the app: shedding, rate limits, faults on purpose, a place among
// the requests in flight. Each may answer in the app's stead; delays and queues suspend the exchange.
import { type InjectedFault, injectFaults } from "../policy/fault.ts";
import type { Concurrency, InboundLimits, RateLimit } from "../policy/inbound-limits.ts";
import { type LoadFigures, priorityOf, shedBelow } from "../policy/shedding.ts";
import { rateLimitLines } from "../policy/token-bucket.ts";
import type { Gate, RoutedExchange } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { HeadView } from "./head-view.ts";
import { failure } from "./reasons.ts";
import { retryAfterLine } from "./respond.ts";

/** A service at its bound is worth another try about when its queue has moved. */
const CONCURRENCY_RETRY_MS = 1_000;
const SHED_RETRY_MS = 1_000;

export class InboundGate {
  readonly #path: DataPath;
  readonly #figures: LoadFigures;
  readonly #view = new HeadView();
  readonly #fault: InjectedFault = { delayMs: 0, status: 0, grpcStatus: -1, origin: "" };
  /** Rates that the request in hand matched; filled and emptied within one call. */
  readonly #matched: RateLimit[] = [];

  constructor(path: DataPath, figures: LoadFigures) {
    this.#path = path;
    this.#figures = figures;
    this.#view.fromNamespace = "";
  }

  /** Answers the exchange, or calls `proceed` now or later. */
  pass(exchange: RoutedExchange, limits: InboundLimits, proceed: () => void): void {
    this.#view.head = exchange.head;
    if (this.#isShed(exchange, limits) || this.#isRateLimited(exchange, limits)) return;
    const isFaulty = limits.faults.length > 0 && this.#injectFault(limits);
    if (!isFaulty && limits.concurrency.length === 0) return proceed();
    const { delayMs, status, grpcStatus, origin } = this.#fault;
    const passage = new Passage(this.#path, exchange, limits.concurrency, proceed);
    exchange.suspension.gate = passage;
    if (isFaulty) passage.suffer(delayMs, { status, grpcStatus }, origin);
    else passage.takePlaces();
  }

  #isShed(exchange: RoutedExchange, { shedding }: InboundLimits): boolean {
    for (const settings of shedding) {
      const below = shedBelow(settings, this.#figures);
      if (below === 0) continue;
      const priority = priorityOf(exchange.head.value("x-weft-priority"));
      if (priority >= below) continue;
      exchange.record.note("shedding", "", priority);
      const detail = `priority ${priority} is refused, ${below} and above are served`;
      exchange.answer(failure("overloaded", detail), retryAfterLine(SHED_RETRY_MS));
      return true;
    }
    return false;
  }

  /** A request must pass every limit that it matches; one that is refused by any takes no token from the others. */
  #isRateLimited(exchange: RoutedExchange, { rates }: InboundLimits): boolean {
    const nowMs = this.#path.clock.now();
    const matched = this.#matched;
    matched.length = 0;
    for (const rate of rates) {
      if (!rate.matcher.matches(this.#view)) continue;
      const hasToken = rate.buckets.has(this.#keyOf(exchange, rate), nowMs);
      if (hasToken) matched.push(rate);
      else if (this.#refusesRate(exchange, rate)) return true;
    }
    for (const rate of matched) rate.buckets.take();
    return false;
  }

  #refusesRate(exchange: RoutedExchange, { rule, buckets }: RateLimit): boolean {
    exchange.record.note("rate-limit", rule.name, rule.reportOnly ? 0 : 1);
    this.#path.metrics.limited.cell(rule.name, rule.reportOnly ? "reported" : "refused").value++;
    if (rule.reportOnly) return false;
    const lines = retryAfterLine(buckets.waitMs) + rateLimitLines(rule.name, buckets);
    exchange.answer(failure("rate-limited", rule.name), lines);
    return true;
  }

  #keyOf(exchange: RoutedExchange, { rule }: RateLimit): string {
    switch (rule.key.type) {
      case "all":
        return "";
      case "header":
        return this.#view.header(rule.key.name) ?? "";
      case "path":
        return this.#view.path;
      case "sourceIP":
      // Without certificates a caller is known by nothing but its address.
      case "identity":
        return exchange.remoteAddress;
    }
  }

  #injectFault({ faults }: InboundLimits): boolean {
    return injectFaults(faults, this.#view, this.#path.random, this.#fault);
  }
}

/** One exchange on its way through delays and queues, and the places that it holds until its end. */
class Passage implements Gate {
  readonly #path: DataPath;
  readonly #exchange: RoutedExchange;
  readonly #limits: readonly Concurrency[];
  readonly #proceed: () => void;
  readonly #startedMs: number;
  /** Places taken: those of `#limits` before this index. */
  #taken = 0;
  #waitsFor: Concurrency | undefined = undefined;
  #queuedMs = 0;
  /** What follows the delay of a fault. */
  #afterDelay: (() => void) | undefined = undefined;

  constructor(path: DataPath, exchange: RoutedExchange, limits: readonly Concurrency[], proceed: () => void) {
    this.#path = path;
    this.#exchange = exchange;
    this.#limits = limits;
    this.#proceed = proceed;
    this.#startedMs = path.clock.now();
  }

  suffer(delayMs: number, abort: Pick<InjectedFault, "status" | "grpcStatus">, origin: string): void {
    const { status, grpcStatus } = abort;
    const { faults } = this.#path.metrics;
    const { record } = this.#exchange;
    if (delayMs > 0) {
      faults.cell(origin, "delay").value++;
      record.note("fault-delay", origin, delayMs);
    }
    if (status > 0) {
      faults.cell(origin, "abort").value++;
      record.note("fault-abort", origin, status);
    }
    const next = (): void => {
      if (grpcStatus >= 0) this.#exchange.answer({ ...failure("fault-injected", origin, status), grpcStatus }, "");
      else if (status > 0) this.#exchange.answer(failure("fault-injected", origin, status), "");
      else this.takePlaces();
    };
    if (delayMs === 0) return next();
    this.#afterDelay = next;
    this.#exchange.suspension.wait(delayMs);
  }

  takePlaces(): void {
    for (;;) {
      const wanted = this.#limits[this.#taken];
      if (wanted === undefined) return this.#proceed();
      switch (wanted.limit.acquire(this)) {
        case "admitted":
          this.#taken++;
          break;
        case "waiting":
          this.#waitsFor = wanted;
          this.#queuedMs = this.#path.clock.now();
          return this.#exchange.suspension.wait(wanted.settings.queueTimeoutMs);
        case "full":
          if (this.#refuses(wanted, "")) return;
      }
    }
  }

  onAdmitted(): void {
    this.#noteQueue();
    this.#waitsFor = undefined;
    this.#taken++;
    this.#exchange.suspension.resume(() => this.takePlaces());
  }

  onWaitTimeout(): void {
    const waited = this.#waitsFor;
    const next = this.#afterDelay;
    this.#afterDelay = undefined;
    this.#noteQueue();
    this.#waitsFor = undefined;
    waited?.limit.cancel(this);
    this.#exchange.suspension.resume(() => {
      if (next !== undefined) next();
      else if (waited !== undefined && !this.#refuses(waited, "waited in vain")) this.takePlaces();
    });
  }

  onExchangeEnd(saysNothing: boolean, nowMs: number): void {
    this.#waitsFor?.limit.cancel(this);
    this.#waitsFor = undefined;
    const latencyMs = saysNothing ? -1 : nowMs - this.#startedMs;
    for (let index = 0; index < this.#taken; index++) this.#limits[index]?.limit.release(latencyMs, nowMs);
    this.#taken = 0;
  }

  #noteQueue(): void {
    if (this.#waitsFor === undefined) return;
    const waitedMs = this.#path.clock.now() - this.#queuedMs;
    this.#exchange.record.note("concurrency-queue", this.#waitsFor.origin, waitedMs);
  }

  /** @returns false when the limit only reports: then the place is taken all the same. */
  #refuses({ origin, settings, limit }: Concurrency, detail: string): boolean {
    this.#path.metrics.limited.cell(origin, settings.reportOnly ? "reported" : "refused").value++;
    this.#exchange.record.note("concurrency-limit", origin, settings.reportOnly ? 0 : 1);
    if (settings.reportOnly) {
      limit.force();
      this.#taken++;
      return false;
    }
    const why = detail === "" ? origin : `${origin}, ${detail}`;
    this.#exchange.answer(failure("concurrency-limited", why), retryAfterLine(CONCURRENCY_RETRY_MS));
    return true;
  }
}
