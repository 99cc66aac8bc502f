// The endpoint behind the proxies of the benchmark: a process that answers each request as its path says and costs
// next to nothing. Not an HTTP server: it trusts its clients, which are the proxies.
//   /small    27 bytes              /chunked   4 KiB in one chunk, after a request body in chunks
//   /bytes/N  N bytes               anything else is /small
import { type AddressInfo, createServer, type Socket } from "node:net";

const SMALL = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{"id":17,"state":"shipped"}\n'.slice(
    0,
    -1,
  ),
);
const CHUNKED = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n${"y".repeat(4096)}\r\n0\r\n\r\n`,
);
const BLOCK = Buffer.alloc(256 * 1024, "z");
const END_OF_HEAD = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n");

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let used = serve(socket, rest); used > 0; used = serve(socket, rest)) rest = rest.subarray(used);
  });
});

/** @returns how many bytes the first request took; 0 when it is not complete. */
function serve(socket: Socket, bytes: Buffer): number {
  const head = bytes.indexOf(END_OF_HEAD);
  if (head < 0) return 0;
  const path = bytes.latin1Slice(bytes.indexOf(0x20) + 1, Math.min(head, 40)).split(" ")[0] ?? "";
  if (path.startsWith("/chunked")) {
    const end = endOfBody(bytes, head);
    if (end > 0) socket.write(CHUNKED);
    return end;
  }
  if (path.startsWith("/bytes/")) sendBytes(socket, Number(path.slice(7)));
  else socket.write(SMALL);
  return head + 4;
}

/** Proxies may send the body in chunks, or gather it and send its length. 0 while it is not complete. */
function endOfBody(bytes: Buffer, head: number): number {
  const length = /content-length: *(\d+)/i.exec(bytes.toString("latin1", 0, head));
  if (length !== null) return bytes.length >= head + 4 + Number(length[1]) ? head + 4 + Number(length[1]) : 0;
  const end = bytes.indexOf(LAST_CHUNK, head);
  return end < 0 ? 0 : end + LAST_CHUNK.length;
}

function sendBytes(socket: Socket, count: number): void {
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${count}\r\n\r\n`);
  let left = count;
  const more = (): void => {
    while (left > 0) {
      const block = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left);
      left -= block.length;
      if (!socket.write(block)) {
        socket.once("drain", more);
        return;
      }
    }
  };
  more();
}

server.listen({ host: "127.0.0.1", port: 0, backlog: 8192 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
process.on("disconnect", () => process.exit(0));
