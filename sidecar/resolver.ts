// How the data path asks for a service that its snapshot does not hold. Discovery implements it; the proxy waits
// on it (at most one second) and answers the first request from the snapshot that came.

/** "known": the current snapshot holds it. "unknown": the control plane says that it does not exist.
 *  "unavailable": nobody could be asked in time. */
export type Resolution = "known" | "unknown" | "unavailable";

export interface ServiceResolver {
  /**
   * Starts (or joins) the subscription to `service` ("namespace/name") and calls back exactly once, never
   * synchronously. Bounded: past the limit of subscriptions the least recently used unknown names are given up.
   */
  resolve(service: string, callback: (resolution: Resolution) => void): void;
}
