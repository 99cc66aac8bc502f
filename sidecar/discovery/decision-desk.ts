// What the control plane asks this sidecar about requests, and what the sidecar answers on the same stream: questions
// for one trace, and taps. Taps belong to the stream: when it ends they are closed.
import type { Decision, DecisionQuery, TapFilter, TapOpen, TapReport } from "../../proto/gen/weft/v1/telemetry.ts";
import { TAP_PER_SECOND_DEFAULT } from "./limits.ts";
import type { Link, ResponseMessage } from "./link.ts";

/** Whoever knows about requests. */
export interface DecisionSource {
  findDecisions(id: string): Promise<readonly Decision[]>;
  openTap(order: { readonly tap: number; readonly filter: TapFilter; readonly maxPerSecond: number }): void;
  closeTap(tap: number): void;
  setTapListener(onReport: (report: TapReport) => void): void;
}

const EVERYTHING: TapFilter = {
  ...{ service: "", direction: "", route: "", reason: "" },
  ...{ statuses: [], slowerMs: 0, headers: [] },
};

export class DecisionDesk {
  readonly #source: DecisionSource;
  readonly #taps = new Set<number>();
  #link: Link | undefined;
  /** Of reports that could not be sent, because the stream was full. */
  readonly #lost = new Map<number, { matched: number; dropped: number }>();

  constructor(source: DecisionSource) {
    this.#source = source;
    source.setTapListener((report) => this.#pass(report));
  }

  /** @returns false when the message is not for this desk */
  hear(link: Link, message: ResponseMessage): boolean {
    this.#link = link;
    switch (message.$case) {
      case "decisionQuery":
        void this.#answer(link, message.value);
        return true;
      case "tapOpen":
        this.#open(message.value);
        return true;
      case "tapClose":
        this.#close(message.value.tap);
        return true;
      default:
        return false;
    }
  }

  /** The stream is over. */
  hangUp(): void {
    this.#link = undefined;
    for (const tap of [...this.#taps]) this.#close(tap);
  }

  async #answer(link: Link, { query, id }: DecisionQuery): Promise<void> {
    const decisions = await this.#source.findDecisions(id);
    link.send({ $case: "decisionAnswer", value: { query, decisions: [...decisions] } });
  }

  #open({ tap, filter = EVERYTHING, maxPerSecond }: TapOpen): void {
    this.#taps.add(tap);
    this.#source.openTap({ tap, filter, maxPerSecond: maxPerSecond || TAP_PER_SECOND_DEFAULT });
  }

  #close(tap: number): void {
    this.#taps.delete(tap);
    this.#lost.delete(tap);
    this.#source.closeTap(tap);
  }

  /** Heartbeats and configuration go the same way: what does not fit is counted, not queued. */
  #pass(report: TapReport): void {
    const { tap } = report;
    const link = this.#link;
    if (link === undefined || !this.#taps.has(tap)) return;
    const lost = this.#lost.get(tap) ?? { matched: 0, dropped: 0 };
    lost.matched += report.matched;
    if (link.isCongested) {
      lost.dropped += report.dropped + report.decisions.length;
      this.#lost.set(tap, lost);
      return;
    }
    this.#lost.delete(tap);
    const value = { ...report, matched: lost.matched, dropped: lost.dropped + report.dropped };
    link.send({ $case: "tapReport", value });
  }
}
