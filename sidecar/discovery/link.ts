// One discovery stream on one connection of its own, from dialling to its single end. The only file here that
// knows gRPC; when to dial again is the client's business.
import { credentials, type StatusObject, status } from "@grpc/grpc-js";
import { DiscoveryServiceClient, type StreamRequest, type StreamResponse } from "../../proto/gen/weft/v1/discovery.ts";
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX } from "./limits.ts";

export type RequestMessage = NonNullable<StreamRequest["message"]>;
export type ResponseMessage = NonNullable<StreamResponse["message"]>;

/** Messages that wait for a slow control plane before the stream counts as congested. */
const QUEUED_MESSAGES_MAX = 8;

/** How a stream ended: "superseded" when another sidecar with the same identity took its place. */
export interface LinkEnd {
  readonly kind: "superseded" | "closed" | "failed";
  readonly reason: string;
}

export interface LinkEvents {
  onMessage(message: ResponseMessage): void;
  /** Exactly once, never synchronously from openLink. */
  onEnd(end: LinkEnd): void;
}

export interface Link {
  /** More waits to be sent than a healthy stream ever has: what is not needed should not be added. */
  readonly isCongested: boolean;
  /** Does nothing once the stream has ended. */
  send(message: RequestMessage): void;
  /** No more messages from here; the other side ends the stream. */
  finish(): void;
  /** Ends it now; `onEnd` still follows. */
  cancel(): void;
}

/** Dials and opens the stream. Failures come through `onEnd`. */
export function openLink(address: string, events: LinkEvents): Link {
  const client = new DiscoveryServiceClient(address, credentials.createInsecure(), {
    "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    // A connection of its own per attempt: waiting between attempts is decided in one place, the client.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    // HTTP_PROXY points at this very sidecar in many containers.
    "grpc.enable_http_proxy": 0,
  });
  const stream = client.stream();
  let open = true;
  const end = (outcome: LinkEnd): void => {
    if (!open) return;
    open = false;
    client.close();
    events.onEnd(outcome);
  };
  stream.on("data", (response: StreamResponse) => {
    if (open && response.message !== undefined) events.onMessage(response.message);
  });
  // Failures are reported through "status", which follows; without a listener the error would be thrown.
  stream.on("error", () => {});
  stream.on("status", (outcome: StatusObject) => end(linkEnd(outcome)));
  return {
    get isCongested() {
      return stream.writableLength > QUEUED_MESSAGES_MAX;
    },
    send: (message) => {
      if (open) stream.write({ message });
    },
    finish: () => {
      if (open) stream.end();
    },
    cancel: () => stream.cancel(),
  };
}

/** ALREADY_EXISTS and ABORTED are how a control plane says that a newer stream has this identity. */
function linkEnd({ code, details }: StatusObject): LinkEnd {
  if (code === status.OK) return { kind: "closed", reason: "the control plane ended the stream" };
  const kind = code === status.ALREADY_EXISTS || code === status.ABORTED ? "superseded" : "failed";
  // grpc-js ends connection errors with a note that is usually empty.
  return { kind, reason: `${status[code]}: ${details.replace(/\. Resolution note: $/, "")}` };
}
