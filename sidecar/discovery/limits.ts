// Every bound of the discovery room, with its unit. Not tuning knobs: a user changes none of them.

/** How long a request for a service that is not known yet is held while the control plane is asked. */
export const RESOLVE_TIMEOUT_MS = 1_000;
/** Services one sidecar may be subscribed to: what a control plane takes from one. */
export const SUBSCRIPTIONS_MAX = 2_000;
/** Longer names are answered "unknown" without asking: two DNS labels and a slash have 127. */
export const SERVICE_NAME_CHARACTERS_MAX = 300;
/** Held versions that a Hello names; what is not named is sent again. */
export const HELLO_HELD_MAX = 10_000;
/** Names that were asked for and are not known to exist; the least recently asked for is given up past it. */
export const UNCONFIRMED_MAX = 1_000;
/** Requests that wait for the answer about one name. */
export const WAITERS_MAX = 10_000;

export const RECONNECT_BASE_MS = 200;
export const RECONNECT_MAX_MS = 10_000;
/** A stream that lived this long was a good one: the next failure starts counting from the first attempt again. */
export const STABLE_AFTER_MS = 10_000;
/** After another sidecar took this one's identity: slow, because the two would push each other out forever. */
export const SUPERSEDED_RETRY_MS = 30_000;
/** From dialling to Welcome; covers name lookup, connection and a control plane that accepts but is stuck. */
export const WELCOME_TIMEOUT_MS = 5_000;
/** For the control plane to end the stream after Goodbye. */
export const GOODBYE_TIMEOUT_MS = 1_000;

/** gRPC keep-alive, as peers use it on their discovery channels (Istio pkg/keepalive: 30 s / 10 s). */
export const KEEPALIVE_TIME_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
/** One delta: thousands of routes; gRPC's own default of 4 MiB is what large meshes run into. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** What the control plane may ask for as heartbeat interval and lease. */
export const HEARTBEAT_MIN_MS = 100;
export const HEARTBEAT_MAX_MS = 60_000;
export const LEASE_MIN_MS = 300;
export const LEASE_MAX_MS = 3_600_000;

/** A cache write waits for this much silence after a change, and for no longer than the maximum. */
export const CACHE_QUIET_MS = 200;
export const CACHE_MAX_MS = 2_000;
export const CACHE_BYTES_MAX = 256 * 1024 * 1024;

/** How often it is looked at whether the health of endpoints has changed. */
export const HEALTH_INTERVAL_MS = 1_000;

/** How often traffic is reported while a release of a called service is under way, and otherwise. */
export const REPORT_INTERVAL_MS = 1_000;
export const REPORT_IDLE_INTERVAL_MS = 10_000;

/** Decisions per second of a tap whose opener names no number. */
export const TAP_PER_SECOND_DEFAULT = 100;
