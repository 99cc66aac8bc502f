// The discovery service: a session per stream, and the end of all of them when the control plane stops.
import { status } from "@grpc/grpc-js";
import type { DiscoveryServiceServer } from "../../proto/gen/weft/v1/discovery.ts";
import { DiscoverySession, type SessionOptions } from "./session.ts";

export interface Discovery {
  readonly service: DiscoveryServiceServer;
  /** Ends every stream; sidecars keep what they have and come back. */
  endAll(): void;
}

export function createDiscovery(options: SessionOptions): Discovery {
  const sessions = new Set<DiscoverySession>();
  return {
    service: {
      stream: (stream) => {
        const session = new DiscoverySession(stream, options);
        sessions.add(session);
        stream.once("close", () => sessions.delete(session));
        stream.once("cancelled", () => sessions.delete(session));
      },
    },
    endAll: () => {
      for (const session of sessions) session.end(status.UNAVAILABLE, "the control plane is stopping");
    },
  };
}
