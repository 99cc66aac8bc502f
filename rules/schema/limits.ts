// Bounds of the rule language, each a promise to the memory of every sidecar. Where the Gateway API has a bound of its
// own it is the same here, but for rules per route: Weft must hold 10,000 of them on one service.

/** Bytes of one source text. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;
/** Diagnostics of one load; the rest is counted. */
export const DIAGNOSTICS_MAX = 100;
/** Values that the YAML aliases of one document may repeat (a "billion laughs" is a few lines that stand for gigabytes). */
export const ALIASED_NODES_MAX = 100_000;
/** Levels of nesting in a source. */
export const DEPTH_MAX = 64;
/** Characters of a name (RFC 1123 subdomain). */
export const NAME_CHARACTERS_MAX = 253;
/** Characters of a header value or other short text. */
export const TEXT_CHARACTERS_MAX = 4096;
/** Characters of a path, or of a query value. */
export const PATH_CHARACTERS_MAX = 1024;
/** Characters of a regular expression. */
export const REGEX_CHARACTERS_MAX = 1024;
/** Characters of a fallback body. */
export const BODY_CHARACTERS_MAX = 64 * 1024;
/** Rules of one route (16 in the Gateway API). */
export const RULES_MAX = 10_000;
/** Matches of one rule. */
export const MATCHES_MAX = 64;
/** Header or query conditions of one match, and fields of one header modifier list. */
export const CONDITIONS_MAX = 16;
/** Filters of one rule or backend. */
export const FILTERS_MAX = 16;
/** Backends of one rule (16 in the Gateway API). */
export const BACKENDS_MAX = 64;
/** Parents of one route. */
export const PARENTS_MAX = 32;
/** Hostnames of one route. */
export const HOSTNAMES_MAX = 16;
/** Weight of a backend or endpoint. */
export const WEIGHT_MAX = 1_000_000;
/** Ports of one service. */
export const PORTS_MAX = 64;
/** Static endpoints of one service. */
export const ENDPOINTS_MAX = 10_000;
/** Retries of one request. */
export const ATTEMPTS_MAX = 25;
/** Limits of one RateLimit, rules of one Authorization, steps of one Rollout, and other lists of policies. */
export const POLICY_ITEMS_MAX = 256;
/** Instructions of a compiled regular expression: `(?:x?){900}` is short to write and long to run. Usual ones have under 150. */
export const REGEX_INSTRUCTIONS_MAX = 2000;
/** Bodies kept for a retry. */
export const REPLAY_BYTES_MAX = 16 * 1024 * 1024;
/** Any plain count (connections, requests, bursts). */
export const COUNT_MAX = 1_000_000_000;
