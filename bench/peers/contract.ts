// What every proxy that is measured looks like to a bench.
import type { Target } from "../load/contract.ts";

/** A proxy that runs. */
export interface RunningPeer extends Target {
  readonly name: string;
  stop(): Promise<void>;
}

interface PeerOptions {
  /** Ports of the endpoint, on the loopback. A proxy without a split uses the first. */
  readonly endpointPorts: readonly number[];
  /** For configuration files; deleted by whoever made it. */
  readonly folder: string;
}

/** A proxy that may be measured. */
export interface Peer {
  readonly name: string;
  /** @returns undefined when it is not installed */
  start(options: PeerOptions): Promise<RunningPeer | undefined>;
}
