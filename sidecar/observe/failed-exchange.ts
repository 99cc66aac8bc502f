// Which exchanges failed, for whoever keeps those only: the access log's filter, the tail rule of traces. A status does not
// tell it alone: an answer that was cut short, or a tunnel, has the one that it began with beside the reason of its end.
import type { ReasonName } from "../../rules/reason-names.ts";
import type { ExchangeRecord } from "./exchange-record.ts";
import { GRPC_FAILURES } from "./grpc-failures.ts";

type Ended = Pick<ExchangeRecord, "status" | "reason" | "grpcStatus">;

/** What rules answer, as they were written to. */
const ORDINARY: readonly ReasonName[] = ["redirect", "cors-preflight", "tunnel"];
const ordinary: ReadonlySet<string> = new Set(ORDINARY);

/** What says nothing against the service: the caller's doing, or a document's. Statuses above 499 count all the same. */
const notTheService: ReadonlySet<string> = new Set([
  ...ORDINARY,
  ...(["bad-request", "uri-too-long", "header-too-large", "client-timeout", "client-closed"] as const),
  ...(["no-such-service", "no-route", "rate-limited", "fault-injected"] as const),
] satisfies ReasonName[]);

/** It failed, or was refused, whoever's doing that was. */
export function hasFailed({ status, reason, grpcStatus }: Ended): boolean {
  return status >= 500 || (reason !== "" && !ordinary.has(reason)) || GRPC_FAILURES.has(grpcStatus);
}

/** As OpenTelemetry sees a server span: the service, or the way to it, failed. */
export function hasServiceFailed({ status, reason, grpcStatus }: Ended): boolean {
  return status >= 500 || (reason !== "" && !notTheService.has(reason)) || GRPC_FAILURES.has(grpcStatus);
}
