// A control plane for tests of the CLI: the generated services on a real socket, answering what a test tells them
// to and remembering what they were asked. It knows no rules; the real one is used by the end-to-end tests.
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import * as fleet from "../../proto/gen/weft/v1/fleet.ts";
import * as rollouts from "../../proto/gen/weft/v1/rollouts.ts";
import * as rules from "../../proto/gen/weft/v1/rules.ts";
import * as telemetry from "../../proto/gen/weft/v1/telemetry.ts";

/** A method's answer: a (partial) response, perhaps later, a thrown FakeFailure, or undefined for never answering. */
type Answer = (request: never) => unknown;

export interface FakeControlPlane {
  readonly address: string;
  /** Requests in the order they came, by method. */
  readonly requests: { readonly method: string; readonly request: unknown }[];
  stop(): Promise<void>;
}

/** grpc.health.v1 with SERVING as its only answer. */
const HEALTH: ServiceDefinition = {
  check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => ({}),
    responseSerialize: () => Buffer.from([8, 1]),
    responseDeserialize: () => ({}),
  },
};

export class FakeFailure extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Starts on port 0.
 * @param answers by method name in lower camel case, as in the generated code; a streaming method gives an array
 *   of messages, after which the call stays open.
 */
export async function startFakeControlPlane(answers: Readonly<Record<string, Answer>>): Promise<FakeControlPlane> {
  const requests: { method: string; request: unknown }[] = [];
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const services = [
    rules.RulesServiceService,
    fleet.FleetServiceService,
    telemetry.TelemetryServiceService,
    rollouts.RolloutsServiceService,
  ];
  for (const service of services) {
    const handlers = Object.fromEntries(
      Object.entries(service).map(([method, definition]) => [
        method,
        definition.responseStream ? streaming(method, answers, requests) : unary(method, answers, requests),
      ]),
    );
    server.addService(service, handlers as never);
  }
  if (answers["check"] !== undefined) server.addService(HEALTH, { check: unary("check", answers, requests) as never });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    requests,
    stop: async () => server.forceShutdown(),
  };
}

type Call = { request: unknown; write(message: unknown): void };

function unary(
  method: string,
  answers: Readonly<Record<string, Answer>>,
  requests: { method: string; request: unknown }[],
) {
  return async (call: Call, callback: sendUnaryData<unknown>): Promise<void> => {
    requests.push({ method, request: call.request });
    const answer = answers[method];
    if (answer === undefined) {
      callback({ code: status.UNIMPLEMENTED, details: `${method} is not part of this test` });
      return;
    }
    try {
      const response = await answer(call.request as never);
      if (response !== undefined) callback(null, method === "check" ? response : complete(method, response));
    } catch (error) {
      if (!(error instanceof FakeFailure)) throw error;
      callback({ code: error.code, details: error.message } as ServiceError);
    }
  };
}

function streaming(
  method: string,
  answers: Readonly<Record<string, Answer>>,
  requests: { method: string; request: unknown }[],
) {
  return (call: Call): void => {
    requests.push({ method, request: call.request });
    const messages = answers[method]?.(call.request as never);
    if (Array.isArray(messages)) for (const message of messages) call.write(complete(method, message));
  };
}

/** Fills the fields that a test left out with the wire's defaults. */
function complete(method: string, response: unknown): unknown {
  const name = `${method.charAt(0).toUpperCase()}${method.slice(1)}Response`;
  const codec = ({ ...rollouts, ...telemetry, ...fleet, ...rules } as Record<string, unknown>)[name];
  return (codec as rules.MessageFns<unknown>).fromPartial(response as never);
}
