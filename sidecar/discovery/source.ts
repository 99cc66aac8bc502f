// What a source of configuration is: a control plane or rule files. Chosen once at start; nothing else in the sidecar
// asks which one it is.
import type { Workload } from "../../proto/gen/weft/v1/discovery.ts";
import type { ServiceResolver } from "../resolver.ts";
import type { DiscoveryStatus } from "./client.ts";
import type { StandAloneStatus } from "./stand-alone/stand-alone.ts";

/** This instance as it registers; readiness is told apart. */
export type Registration = Omit<Workload, "ready">;

export interface SourceStatus {
  readonly discovery: DiscoveryStatus | undefined;
  readonly standAlone: StandAloneStatus | undefined;
  /** Services that are asked for, whether they exist or not. */
  readonly subscriptions: readonly string[];
  /** Milliseconds since the epoch of the last good cache write; 0 for none. */
  readonly cacheSavedAtMs: number;
}

export interface Source {
  readonly resolver: ServiceResolver;
  /** Before the listeners open: what is there without asking anybody. Returns why the sidecar cannot start, if so. */
  load(): Promise<readonly string[]>;
  /** Once the listeners are open: follows changes from now on. */
  begin(registration: Registration): Promise<void>;
  /** Whether other sidecars should send traffic here. Returns whether anybody was told. */
  announce(isReady: boolean, reason: string): boolean;
  stop(reason: string): Promise<void>;
  /** Where the configuration comes from and how that is going, in one line. */
  describe(): string;
  readonly status: SourceStatus;
}
