// Heads of HTTP/2 on their way in: what of them the exchange, which reads heads as HTTP/1.1 has them, cannot take as it is.
import { FIELD as HTTP1_FIELD, FIELD_NAMES as HTTP1_NAMES } from "../http1/field.ts";
import { FIELD_NAMES } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";

/** Kind in HTTP/1.1 of each kind in HTTP/2. */
export const HTTP1_KINDS: Uint8Array = Uint8Array.from(FIELD_NAMES, (name) =>
  name === "" ? HTTP1_FIELD.unknown : Math.max(HTTP1_NAMES.indexOf(name), HTTP1_FIELD.unknown),
);

/**
 * CONNECT as HTTP/1.1 has it: with a protocol (RFC 8441) it is the upgrade that it stands for.
 * @param websocketKey for an upgrade to `websocket`, whose handshake needs one
 */
export function connectText(head: Http2Head, websocketKey: string): string {
  const { protocol, authority } = head;
  let lines = `host: ${authority}\r\n`;
  for (let index = 0; index < head.count; index++) lines += `${head.nameAt(index)}: ${head.valueAt(index)}\r\n`;
  if (protocol === "") return `CONNECT ${authority} HTTP/1.1\r\n${lines}\r\n`;
  lines += `connection: upgrade\r\nupgrade: ${protocol}\r\n`;
  if (protocol === "websocket" && head.value("sec-websocket-key") === undefined)
    lines += `sec-websocket-key: ${websocketKey}\r\n`;
  return `GET ${head.path} HTTP/1.1\r\n${lines}\r\n`;
}
