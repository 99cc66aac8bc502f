// What is spoken to an endpoint: told by the port of the service, or by the request itself where that leaves no choice.
import type { Protocol, ServiceResource } from "../../rules/resource.ts";
import type { MessageHead } from "../http1/head.ts";
import { isGrpc } from "./grpc.ts";

/** Does the endpoint get HTTP/2? gRPC is HTTP/2 whatever a document says of its port; a message that changes protocols needs HTTP/1.1. */
export function isHttp2To(protocol: Protocol, head: MessageHead): boolean {
  if (head.upgrade) return false;
  return protocol === "h2c" || protocol === "grpc" || isGrpc(head);
}

/** Is the request a tunnel to a port that speaks bytes? Then the endpoint is told nothing of CONNECT. */
export function isTcpTunnel(protocol: Protocol, head: MessageHead): boolean {
  return head.isConnect && protocol === "tcp";
}

/** What a port of a service speaks. */
export function protocolOf({ ports }: ServiceResource, port: number): Protocol {
  const named = ports.length === 1 ? ports[0] : (ports.find((candidate) => candidate.port === port) ?? ports[0]);
  return named?.protocol ?? "http";
}
