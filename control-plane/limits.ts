// Every bound of the control plane, with its unit: what a client may send, and how much is kept for it.

/** A sidecar says that it lives this often. */
export const HEARTBEAT_INTERVAL_MS = 5_000;
/** Three missed heartbeats end a lease. */
export const LEASE_MS = 3 * HEARTBEAT_INTERVAL_MS;
/** How long a stream may stay silent before its Hello. */
export const HELLO_TIMEOUT_MS = 10_000;
/** A timer that fires this late means that this process stood still, not that every sidecar died. */
export const STALL_MS = 2_000;
/** How long an implied service outlives its last instance, so that a restart is answered 503 and not 404. */
export const IMPLIED_SERVICE_LINGER_MS = 300_000;
/** Registry changes are gathered for this long before they are written. */
export const REGISTRY_WRITE_DELAY_MS = 50;
/** What could not be written is tried again so late, so that a full disk is a line in the log now and then. */
export const REGISTRY_RETRY_MS = 10_000;

export const WORKLOADS_MAX = 10_000;
/** Implied services of departed workloads that are remembered. */
export const DEPARTED_MAX = 10_000;
/** Earlier holders of an identity that are remembered, to turn them away. */
export const SUPERSEDED_INCARNATIONS_MAX = 8;

/** DNS label (RFC 1123). */
export const NAME_CHARACTERS_MAX = 63;
export const WORKLOAD_ID_CHARACTERS_MAX = 253;
export const INCARNATION_CHARACTERS_MAX = 128;
export const PROGRAM_VERSION_CHARACTERS_MAX = 64;
export const ADDRESS_CHARACTERS_MAX = 300;
export const LABELS_MAX = 64;
/** Kubernetes: an optional DNS prefix, a slash and a name. */
export const LABEL_KEY_CHARACTERS_MAX = 317;
export const LABEL_VALUE_CHARACTERS_MAX = 253;
export const SUBSCRIPTIONS_MAX = 2_000;
/** "namespace/name", with room for what a careless client asks for. */
export const SUBSCRIPTION_CHARACTERS_MAX = 512;
export const HELD_RESOURCES_MAX = 10_000;
export const HELD_NAME_CHARACTERS_MAX = 600;
export const HELD_VERSION_CHARACTERS_MAX = 64;
export const NACK_TEXT_CHARACTERS_MAX = 2_000;

/** Rule changes wait for this much quiet, so that a burst is one push ... */
export const DEBOUNCE_QUIET_MS = 20;
/** ... but never longer than this. */
export const DEBOUNCE_MAX_MS = 200;
/** Revisions whose progress through the fleet is remembered. */
export const TRACKED_REVISIONS_MAX = 128;

export const GRPC_MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
/** All sources of one apply together. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;
export const SOURCES_MAX = 5_000;
export const MESSAGE_CHARACTERS_MAX = 2_000;
export const AUTHOR_CHARACTERS_MAX = 256;
/** Read in between other work, so less than an apply may bring. */
export const EXPLAIN_SOURCE_BYTES_MAX = 1024 * 1024;
export const EXPLAIN_URL_CHARACTERS_MAX = 64 * 1024;
export const HISTORY_DEFAULT = 50;
export const HISTORY_MAX = 1_000;
/** Events that wait for a slow reader of a server stream before it is ended. */
export const STREAM_QUEUE_MAX = 10_000;

/** How long a clean stop waits for calls in flight. */
export const STOP_GRACE_MS = 3_000;

/** A trace id has 32; request ids are as callers make them. */
export const TRACE_ID_CHARACTERS_MAX = 256;
/** How long sidecars are waited for when one request is asked about. */
export const INQUIRY_WAIT_MS = 2_000;
export const INQUIRY_WAIT_MAX_MS = 30_000;
/** Decisions per second that a tap tells. */
export const TAP_PER_SECOND = 100;
export const TAP_PER_SECOND_MAX = 1_000;
/** A tap says so often that it lives. */
export const TAP_BEAT_MS = 1_000;
/** Responses that wait for a slow reader before decisions are dropped and counted. */
export const TAP_QUEUE_MAX = 32;
export const TAP_TEXT_CHARACTERS_MAX = 1_000;
export const TAP_CONDITIONS_MAX = 32;

/** Rows of one answer about traffic. */
export const TRAFFIC_ROWS_MAX = 1_000;
/** The first answer comes when sidecars have had time to report. */
export const TRAFFIC_FIRST_MS = 700;
export const TRAFFIC_BEAT_MS = 1_000;
