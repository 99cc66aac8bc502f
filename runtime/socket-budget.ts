// How the file descriptors of a process are shared out: some are kept for what is not traffic (status and admin pages, the
// control plane, files), clients get half of the rest at most, so that each of them can have a connection to an endpoint
// (as HAProxy derives maxconn from its limit of open files). Counts; who counts opens and closes the sockets.

/** A sidecar without traffic has about 30 open; scrapes, probes, taps and logs come and go. */
const KEPT_DESCRIPTORS = 128;
/** However little there is, somebody is served. */
const SOCKETS_MIN = 32;

export class SocketBudget {
  /** Connections of clients. */
  clients = 0;
  /** Connections to endpoints, those that are being made included. */
  endpoints = 0;
  /** Of both. */
  readonly socketsMax: number;

  /** @param descriptorsMax that the process may have; Infinity: as many as it likes */
  constructor(descriptorsMax: number) {
    this.socketsMax = Math.max(SOCKETS_MIN, descriptorsMax - KEPT_DESCRIPTORS);
  }

  get clientsMax(): number {
    return Math.floor(this.socketsMax / 2);
  }

  get takesClient(): boolean {
    return this.clients < this.clientsMax;
  }

  get takesEndpoint(): boolean {
    return this.clients + this.endpoints < this.socketsMax;
  }
}
