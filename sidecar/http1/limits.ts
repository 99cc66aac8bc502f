// Bounds of one HTTP/1.1 message, every one of them enforced while bytes arrive, so that no peer decides how much
// memory a connection takes. Not timeouts: those belong to the exchange.

export interface Http1Limits {
  /** Request line or status line, bytes without its CRLF; longer is answered 414. */
  readonly startLineBytesMax: number;
  /** Start line and all field lines together, with the empty line; longer is answered 431. */
  readonly headBytesMax: number;
  /** Field lines of a head; more is answered 431. */
  readonly fieldsMax: number;
  /** One chunk-size line with its extensions, bytes without the CRLF. */
  readonly chunkLineBytesMax: number;
  /** Chunk extensions of one message together: a peer cannot feed bytes for ever without sending content. */
  readonly chunkExtensionBytesMax: number;
  /** The trailer section, bytes with the empty line. */
  readonly trailerBytesMax: number;
  /** Trailer field lines. */
  readonly trailersMax: number;
}

/** nginx keeps 32 KiB of heads and Node 16; Envoy 60 KiB and 100 fields, which is what mesh users know. */
export const DEFAULT_HTTP1_LIMITS: Http1Limits = {
  startLineBytesMax: 8 * 1024,
  headBytesMax: 64 * 1024,
  fieldsMax: 100,
  chunkLineBytesMax: 1024,
  chunkExtensionBytesMax: 16 * 1024,
  trailerBytesMax: 8 * 1024,
  trailersMax: 32,
};
