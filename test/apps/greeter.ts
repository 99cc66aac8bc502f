// A service of bytes for tests: speaks first, as mail servers and databases do, then echoes what it gets. `POUR N`
// makes it send N bytes and end. Prints a ready line with its address. VERSION says which version it plays, PORT where
// it listens (any free one).
import { flushCompileCache } from "node:module";
import { createServer, type Socket } from "node:net";

const version = process.env["VERSION"] ?? "v1";
const PIECE = Buffer.alloc(256 * 1024, "0123456789abcdef");

function pour(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!socket.write(piece)) {
        socket.once("drain", more);
        return;
      }
    }
    socket.end();
  };
  more();
}

const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {});
  let isPouring = false;
  socket.write(`220 ${version} is ready\n`);
  socket.on("data", (bytes: Buffer) => {
    const asked = /^POUR (\d+)\n$/.exec(bytes.toString("latin1"))?.[1];
    if (asked === undefined) return void socket.write(bytes);
    isPouring = true;
    pour(socket, Number(asked));
  });
  socket.on("end", () => {
    if (!isPouring) socket.end();
  });
});

server.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  console.log(JSON.stringify({ ready: true, address: `127.0.0.1:${port}` }));
  flushCompileCache();
});
process.once("SIGTERM", () => process.exit(0));
