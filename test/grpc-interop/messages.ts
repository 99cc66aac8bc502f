// The messages of interop.proto and the methods that carry them, for both ends of the tests.
import { join } from "node:path";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export interface Payload {
  readonly body: Buffer;
}

export interface BoolValue {
  readonly value: boolean;
}

export interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

export interface SimpleRequest {
  readonly responseSize?: number;
  readonly payload?: Payload | null;
  readonly responseCompressed?: BoolValue | null;
  readonly responseStatus?: EchoStatus | null;
  readonly expectCompressed?: BoolValue | null;
}

export interface SimpleResponse {
  readonly payload: Payload | null;
}

export interface InputRequest {
  readonly payload?: Payload | null;
  readonly expectCompressed?: BoolValue | null;
}

export interface InputResponse {
  readonly aggregatedPayloadSize: number;
}

export interface ResponseParameters {
  readonly size: number;
  readonly intervalUs?: number;
  readonly compressed?: BoolValue | null;
}

export interface OutputRequest {
  readonly responseParameters?: readonly ResponseParameters[];
  readonly payload?: Payload | null;
  readonly responseStatus?: EchoStatus | null;
}

export interface OutputResponse {
  readonly payload: Payload | null;
}

export type Empty = Record<string, never>;

const loaded = loadSync(join(import.meta.dirname, "interop.proto"), { defaults: true, longs: Number });

/** Without what servers do not have. */
export function servedMethods(): ServiceDefinition {
  const { UnimplementedCall: _, ...served } = loaded["grpc.testing.TestService"] as ServiceDefinition;
  return served;
}

function methodOf<Request, Response>(service: string, name: string): MethodDefinition<Request, Response> {
  const method = (loaded[`grpc.testing.${service}`] as ServiceDefinition)[name];
  if (method === undefined) throw new Error(`interop.proto has no ${service}.${name}`);
  return method as unknown as MethodDefinition<Request, Response>;
}

export const METHODS = {
  emptyCall: methodOf<Empty, Empty>("TestService", "EmptyCall"),
  unaryCall: methodOf<SimpleRequest, SimpleResponse>("TestService", "UnaryCall"),
  streamingOutputCall: methodOf<OutputRequest, OutputResponse>("TestService", "StreamingOutputCall"),
  streamingInputCall: methodOf<InputRequest, InputResponse>("TestService", "StreamingInputCall"),
  fullDuplexCall: methodOf<OutputRequest, OutputResponse>("TestService", "FullDuplexCall"),
  unimplementedCall: methodOf<Empty, Empty>("TestService", "UnimplementedCall"),
  unimplementedService: methodOf<Empty, Empty>("UnimplementedService", "UnimplementedCall"),
};

export function zeros(size: number): Payload {
  return { body: Buffer.alloc(size) };
}

export const ECHO_INITIAL = "x-grpc-test-echo-initial";
export const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";
