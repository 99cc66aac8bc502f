// The transfers of slow-transfer.ts over HTTP/2, with node:http2 at both ends.
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { memoryOf, pour, readSlowly, type SlowTransfer } from "./slow-transfer.ts";

/** An app that answers GET with as many bytes as its path says, and reads the bodies of POST slowly. */
export async function startHttp2BodyApp(): Promise<{ readonly address: string; readonly server: Http2Server }> {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, head) => {
    stream.respond({ ":status": 200 });
    if (head[":method"] === "POST") void readSlowly(stream).then((bytes) => stream.end(String(bytes)));
    else pour(stream, Number(head[":path"]?.slice(1)));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** The answer is read slowly. */
export async function slowHttp2Download(
  pid: number,
  address: string,
  host: string,
  bytes: number,
): Promise<SlowTransfer> {
  const before = memoryOf(pid, "VmRSS");
  const session = sessionTo(address);
  const stream = session.request({ ":path": `/${bytes}`, ":authority": host });
  const arrived = await readSlowly(stream);
  session.close();
  return { bytes: arrived, peakGrowthBytes: memoryOf(pid, "VmHWM") - before };
}

/** The app reads the request slowly. */
export async function slowHttp2Upload(
  pid: number,
  address: string,
  host: string,
  bytes: number,
): Promise<SlowTransfer> {
  const before = memoryOf(pid, "VmRSS");
  const session = sessionTo(address);
  const stream = session.request({ ":method": "POST", ":path": "/", ":authority": host });
  pour(stream, bytes);
  let text = "";
  for await (const piece of stream.setEncoding("utf8")) text += piece;
  session.close();
  return { bytes: Number(text), peakGrowthBytes: memoryOf(pid, "VmHWM") - before };
}

/** What goes wrong with a transfer its stream tells; how the connection ends afterwards does not matter. */
function sessionTo(address: string): ClientHttp2Session {
  return connect(`http://${address}`).on("error", () => {});
}
