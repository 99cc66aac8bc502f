// How the end of a message is found (RFC 9112 section 6.3). A type, no code.

/** "tunnel": 101, or 2xx to CONNECT: bytes until close. */
export type Framing = "none" | "length" | "chunked" | "until-close" | "tunnel";
