// The request that a connection without one stands for: CONNECT to its service. Between sidecars it is what goes over
// the wire, and records, routes and figures know the connection by it.
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import { DEFAULT_HTTP1_LIMITS } from "../http1/limits.ts";

/** @param service `namespace/name` @param port 0: not known yet */
export function connectHead(service: string, port: number): MessageHead {
  const [namespace = "", name = ""] = service.split("/");
  const authority = `${name}.${namespace}:${port}`;
  const bytes = Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`, "latin1");
  const decoder = new RequestDecoder(DEFAULT_HTTP1_LIMITS);
  if (decoder.decodeHead(bytes, 0, bytes.length) !== bytes.length)
    throw new Error(`no service can have the name ${service}`);
  return decoder.head;
}
