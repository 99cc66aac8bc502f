// Bounds of one HTTP/2 connection, every one of them enforced while bytes arrive, so that no peer decides how much
// memory or work a connection takes; and what of them the peer is told in SETTINGS. Not timeouts of requests.

/** So many at once, and so many more per second: what a peer may do of things that cost it less than they cost us. */
export interface FloodBound {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Http2Limits {
  // ---- told to the peer in SETTINGS (RFC 9113 section 6.5.2) ----

  /** Streams that the peer may have open at a time; one more is refused (REFUSED_STREAM), so it may be repeated. */
  readonly streamsMax: number;
  /** Content of one stream that the peer may send before somebody takes it; what one stalled stream can hold. */
  readonly streamWindowBytes: number;
  /** Dynamic table that the peer may fill. */
  readonly headerTableBytes: number;
  /** Payload of one frame; at least 16384 (section 4.2). */
  readonly frameBytesMax: number;
  /** Decoded head: names, values and 32 for each field; larger is refused, a request as 431. */
  readonly headerListBytesMax: number;
  /** Server: takes extended CONNECT (RFC 8441). */
  readonly allowsConnectProtocol: boolean;

  // ---- kept to without telling ----

  /** Content in flight on the whole connection. */
  readonly connectionWindowBytes: number;
  /**
   * Content that came and that nobody takes, of all streams together. Up to it a stalled stream stops only itself; past
   * it the connection's window is not given back, and all its streams wait.
   */
  readonly stalledBytesMax: number;
  /** Fields of one head or trailers. */
  readonly fieldsMax: number;
  /** Encoded head with its CONTINUATION frames. Past it the connection ends: HPACK cannot skip (CVE-2024-24549). */
  readonly headerBlockBytesMax: number;
  /** From the first bytes of a head, or of another frame that is taken whole, to its end. */
  readonly headTimeoutMs: number;
  /** CONTINUATION frames of one head. */
  readonly continuationsMax: number;
  /** 1xx heads before the final one. */
  readonly interimHeadsMax: number;
  /** Memory of the peer's that our encoder uses, whatever more it offers. */
  readonly encoderTableBytes: number;
  /** Values in one SETTINGS frame. */
  readonly settingsMax: number;
  /** Own answers to PING and SETTINGS, and RST_STREAM, that wait because the peer does not read. */
  readonly controlFramesMax: number;
  /**
   * Bytes that wait in the process because the peer does not read. Content stops long before; heads do not, and they need
   * no window. A peer that reads has no more of them to come than for its streams.
   */
  readonly unreadBytesMax: number;
  /** SETTINGS of ours without acknowledgement. */
  readonly settingsTimeoutMs: number;
  /**
   * Nothing was read for so long while streams are open: PING. 0: never. gRPC servers call more than one in 5 minutes a
   * flood (gRFC A8); a peer that is known to take them, such as another sidecar, can be asked sooner.
   */
  readonly keepAliveIntervalMs: number;
  /** Nothing was read for so long after a PING: the peer is frozen, the connection is closed. */
  readonly keepAliveTimeoutMs: number;
  /** Of what an owner has left to go out, the peer took nothing for so long: that stream is reset. */
  readonly stallTimeoutMs: number;
  /** Draining server: at most so long between the first GOAWAY and the second. */
  readonly goawayGraceMs: number;
  /** After our last byte: so long for the peer to end its side, then the transport is cut; 60 times as long while bytes wait. */
  readonly lingerMs: number;

  // ---- floods: past one of these the connection ends with ENHANCE_YOUR_CALM ----

  /**
   * Streams that a client resets soon, or makes us reset (CVE-2023-44487, CVE-2025-8671). Each stream that ends well allows
   * one more, so that calls given up at a high rate of calls are no flood.
   */
  readonly resets: FloodBound;
  /** A client may reset a stream that has been open for so long, as in Envoy: so many at a time are no flood. */
  readonly lastingStreamMs: number;
  /** PING, and answers to it, asked for or not. Each DATA frame either way allows one more: gRPC peers measure the path so. */
  readonly pings: FloodBound;
  /** SETTINGS and GOAWAY, for which all streams are looked at. */
  readonly settings: FloodBound;
  /** PRIORITY, PRIORITY_UPDATE, and frames of unknown types. */
  readonly idleFrames: FloodBound;
  /** HEADERS and RST_STREAM of streams that are over; each that ends allows 4 more, sent before the peer knew of it. */
  readonly lateFrames: FloodBound;
  /** DATA without content and without end; HEADERS and CONTINUATION without bytes (CVE-2019-9518). */
  readonly emptyFrames: FloodBound;
  /** WINDOW_UPDATE; each DATA frame sent allows 10 more, as in Envoy. */
  readonly windowUpdates: FloodBound;
  /** Changes of the dynamic table's size within header blocks. */
  readonly tableUpdates: FloodBound;
}

/** When a quiet peer is asked by PING, and how long it has to answer, in milliseconds. */
export interface KeepAliveTimes {
  /** 0: never. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Of other sidecars, which take PINGs at that rate; Linkerd's proxies ask each other every 10 s as well. */
export const MESH_KEEP_ALIVE: KeepAliveTimes = { intervalMs: 10_000, timeoutMs: 10_000 };

/**
 * Windows are no round numbers, because bodies often are. A sender on nghttp2 finds that a body is over when it may send
 * more of it; where the window ends with the body, Node's server has reset the stream by then, if its app did not read the request.
 */
const ODD_BYTES = 1_021;

/**
 * Peers: nghttp2 lets a client reset 1,000 streams and 33 a second, and takes 32 SETTINGS values; Go takes 250 streams
 * and 10,000 control frames; Envoy 100 KiB of heads at most. Streams and windows are for a mesh: many calls on few
 * connections, whose ends are near each other.
 */
export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  streamsMax: 256,
  streamWindowBytes: 256 * 1024 + ODD_BYTES,
  headerTableBytes: 4096,
  frameBytesMax: 16 * 1024,
  headerListBytesMax: 64 * 1024,
  allowsConnectProtocol: true,
  connectionWindowBytes: 1024 * 1024 + ODD_BYTES,
  stalledBytesMax: 8 * 1024 * 1024,
  fieldsMax: 100,
  headerBlockBytesMax: 128 * 1024,
  headTimeoutMs: 15_000,
  continuationsMax: 16,
  interimHeadsMax: 16,
  encoderTableBytes: 4096,
  settingsMax: 32,
  controlFramesMax: 1000,
  unreadBytesMax: 16 * 1024 * 1024,
  settingsTimeoutMs: 10_000,
  keepAliveIntervalMs: 300_000,
  keepAliveTimeoutMs: 20_000,
  stallTimeoutMs: 60_000,
  goawayGraceMs: 1_000,
  lingerMs: 1_000,
  resets: { burst: 1000, perSecond: 33 },
  lastingStreamMs: 1_000,
  pings: { burst: 100, perSecond: 10 },
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 1000, perSecond: 100 },
  lateFrames: { burst: 10_000, perSecond: 100 },
  emptyFrames: { burst: 100, perSecond: 10 },
  windowUpdates: { burst: 1000, perSecond: 100 },
  tableUpdates: { burst: 100, perSecond: 10 },
};
