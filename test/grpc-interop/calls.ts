// Calls of @grpc/grpc-js as the interoperability cases make them: everything that came of a call, as one value.
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { type InputRequest, type InputResponse, METHODS, type OutputRequest, type OutputResponse } from "./messages.ts";

export interface Ended<Response> {
  readonly code: number;
  readonly details: string;
  readonly responses: readonly Response[];
  readonly initial: Metadata;
  readonly trailing: Metadata;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly metadata?: Metadata;
}

/** @param options of the channel, such as its default compression */
export function clientTo(address: string, authority: string, options: Record<string, number> = {}): Client {
  return new Client(address, credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.enable_retries": 0,
    ...options,
  });
}

const timing = ({ deadlineMs }: CallOptions) => (deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs });

interface Told {
  on(event: "metadata", tell: (metadata: Metadata) => void): unknown;
  on(event: "status", tell: (status: StatusObject) => void): unknown;
}

/** Resolves once the call has its status and its last message was handed over. */
function ending<Response>(call: Told, responses: readonly Response[]): Promise<Ended<Response>> {
  let initial = new Metadata();
  call.on("metadata", (metadata) => {
    initial = metadata;
  });
  return new Promise((settle) => {
    call.on("status", ({ code, details, metadata: trailing }) =>
      setImmediate(() => settle({ code, details, responses, initial, trailing })),
    );
  });
}

export function unary<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  options: CallOptions = {},
): Promise<Ended<Response>> {
  const responses: Response[] = [];
  const done = (_: ServiceError | null, response?: Response): void => {
    if (response !== undefined) responses.push(response);
  };
  const { path, requestSerialize, responseDeserialize } = method;
  const metadata = options.metadata ?? new Metadata();
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadata,
    timing(options),
    done,
  );
  return ending(call, responses);
}

/** A streamed request that the test writes. `write` has a second argument that is gRPC's flags, as text. */
export interface OpenInput {
  readonly call: { write(message: InputRequest, flags: BufferEncoding): boolean; end(): unknown; cancel(): void };
  readonly ended: Promise<Ended<InputResponse>>;
}

export function streamingInput(client: Client, options: CallOptions = {}): OpenInput {
  const responses: InputResponse[] = [];
  const { path, requestSerialize, responseDeserialize } = METHODS.streamingInputCall;
  const call = client.makeClientStreamRequest<InputRequest, InputResponse>(
    path,
    requestSerialize,
    responseDeserialize,
    options.metadata ?? new Metadata(),
    timing(options),
    (_, response) => {
      if (response !== undefined) responses.push(response);
    },
  );
  return { call, ended: ending(call, responses) };
}

export function streamingOutput(client: Client, request: OutputRequest): Promise<Ended<OutputResponse>> {
  const responses: OutputResponse[] = [];
  const { path, requestSerialize, responseDeserialize } = METHODS.streamingOutputCall;
  const call = client.makeServerStreamRequest<OutputRequest, OutputResponse>(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  );
  call.on("data", (response) => responses.push(response));
  call.on("error", () => {});
  return ending(call, responses);
}

export interface OpenDuplex {
  readonly call: ClientDuplexStream<OutputRequest, OutputResponse>;
  readonly ended: Promise<Ended<OutputResponse>>;
  /** The next answer; rejects when the call ends before. */
  next(): Promise<OutputResponse>;
}

export function fullDuplex(client: Client, options: CallOptions = {}): OpenDuplex {
  const responses: OutputResponse[] = [];
  const { path, requestSerialize, responseDeserialize } = METHODS.fullDuplexCall;
  const call = client.makeBidiStreamRequest<OutputRequest, OutputResponse>(
    path,
    requestSerialize,
    responseDeserialize,
    options.metadata ?? new Metadata(),
    timing(options),
  );
  let seen = 0;
  let onResponse = (): void => {};
  call.on("data", (response) => {
    responses.push(response);
    onResponse();
  });
  call.on("error", () => {});
  const ended = ending(call, responses);
  const next = (): Promise<OutputResponse> =>
    new Promise((settle, fail) => {
      const take = (): void => {
        const response = responses[seen];
        if (response === undefined) return;
        seen++;
        onResponse = () => {};
        settle(response);
      };
      onResponse = take;
      void ended.then(({ code }) => fail(new Error(`the call ended with ${code}`)));
      take();
    });
  return { call, ended, next };
}
