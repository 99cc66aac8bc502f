// What the sidecar knows about being ready, in one place: is there a configuration, does the app listen, is it
// draining. Two different questions are answered from it: may the app start and the pod be called ready (the status
// page), and should other sidecars send traffic here (the announcement).
import type { ReadinessReport } from "./admin/status-pages.ts";

export type AppState = "none" | "not-listening" | "listening";

/** The facts; changes go through the setters, and `onChange` is told when the announcement changes. */
export class Readiness {
  readonly #describeConfiguration: () => string;
  readonly #onAnnounce: (isReady: boolean, reason: string) => boolean;
  #isConfigured = false;
  #app: AppState;
  #isDraining = false;
  #announced = false;

  /**
   * @param app "none" when there is no app to send inbound requests to
   * @param describeConfiguration the configuration in use, in words
   * @param onAnnounce whether other sidecars should send traffic here has changed; returns whether anybody was told
   */
  constructor(
    app: AppState,
    describeConfiguration: () => string,
    onAnnounce: (isReady: boolean, reason: string) => boolean,
  ) {
    this.#app = app;
    this.#describeConfiguration = describeConfiguration;
    this.#onAnnounce = onAnnounce;
  }

  get isConfigured(): boolean {
    return this.#isConfigured;
  }

  setConfigured(): void {
    this.#isConfigured = true;
    this.#announce();
  }

  setAppListening(isListening: boolean): void {
    this.#app = isListening ? "listening" : "not-listening";
    this.#announce();
  }

  /** Returns whether anybody had to be told and was. */
  setDraining(): boolean {
    this.#isDraining = true;
    return this.#announce();
  }

  /**
   * For the status page. The app's state is said but does not decide: where the app starts only after its sidecar is
   * ready (a native sidecar container, or `-- COMMAND`), waiting for it would wait for ever.
   */
  report(): ReadinessReport {
    const configuration = this.#isConfigured
      ? `configuration: ${this.#describeConfiguration()}`
      : `configuration: none yet; ${this.#describeConfiguration()}`;
    const lines = [configuration];
    if (this.#app !== "none") lines.push(`app: ${this.#app === "listening" ? "listening" : "not listening yet"}`);
    if (this.#isDraining) lines.push("draining: no new traffic is wanted");
    lines.push(`announced to other sidecars: ${this.#announced ? "yes" : "no"}`);
    return { isReady: this.#isConfigured && !this.#isDraining, lines };
  }

  #announce(): boolean {
    const reason = this.#whyNot();
    const isReady = reason === "";
    if (isReady === this.#announced) return false;
    this.#announced = isReady;
    return this.#onAnnounce(isReady, isReady ? "ready" : reason);
  }

  #whyNot(): string {
    if (this.#isDraining) return "draining";
    if (!this.#isConfigured) return "configuration not loaded";
    return this.#app === "not-listening" ? "app not listening" : "";
  }
}
