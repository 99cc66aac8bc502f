// What is spoken to an endpoint: told by the port of the service, or by the request itself where that leaves no choice.
import type { Protocol, ServicePort, ServiceResource } from "../../rules/resource.ts";
import type { MessageHead } from "../http1/head.ts";
import { isGrpc } from "./grpc.ts";

/** Why a port takes no request but CONNECT: what reads bytes might take it for commands, line by line. */
export const SPEAKS_BYTES = "speaks bytes (protocol: tcp): reached by CONNECT, or by a local port (--tcp)";

const PLAIN: ServicePort = { port: 80, protocol: "http" };

/** Does the endpoint get HTTP/2? gRPC is HTTP/2 whatever a document says of its port; a message that changes protocols needs HTTP/1.1. */
export function isHttp2To(protocol: Protocol, head: MessageHead): boolean {
  if (head.upgrade) return false;
  return protocol === "h2c" || protocol === "grpc" || isGrpc(head);
}

/** Is the request a tunnel to a port that speaks bytes? Then the endpoint is told nothing of CONNECT. */
export function isTcpTunnel(protocol: Protocol, head: MessageHead): boolean {
  return head.isConnect && protocol === "tcp";
}

/**
 * Does a request for this port leave as HTTP/2? What the port speaks is the last sidecar's concern: between sidecars it is
 * HTTP/2, on few connections, unless the document keeps HTTP/1.1.
 */
export function isHttp2Hop({ protocol, keepsHttp1 }: ServicePort, isMesh: boolean, head: MessageHead): boolean {
  if (isMesh && keepsHttp1 !== true && protocol !== "tcp") return !head.upgrade && !head.isConnect;
  return isHttp2To(protocol, head);
}

/** The port of a service that stands for this number. */
export function namedPort({ ports }: ServiceResource, port: number): ServicePort {
  const named = ports.length === 1 ? ports[0] : (ports.find((candidate) => candidate.port === port) ?? ports[0]);
  return named ?? PLAIN;
}
