// How the file descriptors of a process are shared out: some are kept for what is not traffic (status and admin pages, the
// control plane, files), clients get half of the rest at most, so that each of them can have a connection to an endpoint
// (as HAProxy derives maxconn from its limit of open files). Counts; who counts opens and closes the sockets. Where all are
// used, a connection that nobody uses makes room for one that somebody needs.

/** Connections to pages: probes and scrapes come to those of the status port, people to the others. */
export const PAGE_CONNECTIONS_MAX = { status: 64, admin: 16 } as const;
/** A sidecar without traffic has about 30 open; taps and logs come and go. */
const OWN_DESCRIPTORS = 48;
const KEPT_DESCRIPTORS = OWN_DESCRIPTORS + PAGE_CONNECTIONS_MAX.status + PAGE_CONNECTIONS_MAX.admin;
/** However little there is, somebody is served. */
const SOCKETS_MIN = 32;

/** Who keeps connections to endpoints for requests to come. */
export interface SocketKeeper {
  /** Closes one of those that nobody uses now. @returns whether there was one */
  closeUnused(): boolean;
}

export class SocketBudget {
  /** Connections of clients. */
  clients = 0;
  /** Connections to endpoints, those that are being made included. */
  endpoints = 0;
  /** Of both. */
  readonly socketsMax: number;
  /** Those that have connections. Whoever closed one last is asked last. */
  readonly #keepers = new Set<SocketKeeper>();

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

  /** `keeper` has connections to an endpoint; idempotent. */
  keep(keeper: SocketKeeper): void {
    this.#keepers.add(keeper);
  }

  /** It has none any more. */
  forget(keeper: SocketKeeper): void {
    this.#keepers.delete(keeper);
  }

  /** For one more connection to an endpoint. @returns false where all sockets are used, and each of them by somebody */
  makeRoom(): boolean {
    if (this.takesEndpoint) return true;
    for (const keeper of this.#keepers) {
      if (!keeper.closeUnused()) continue;
      this.#keepers.delete(keeper);
      this.#keepers.add(keeper);
      return true;
    }
    return false;
  }
}
