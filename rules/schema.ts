// The schema of whole documents by kind, for validation and as JSON Schema, both from one source (schema/*.ts).
import { z } from "zod";
import { KIND_FACTS, type Kind } from "./kinds.ts";
import { grpcRouteSpec } from "./schema/grpc-route.ts";
import { httpRouteSpec } from "./schema/http-route.ts";
import { authenticationSpec, authorizationSpec, faultSpec, rateLimitSpec } from "./schema/inbound.ts";
import { meshSpec } from "./schema/mesh.ts";
import { metadata, serviceMetadata } from "./schema/metadata.ts";
import { rolloutSpec } from "./schema/rollout.ts";
import { serviceSpec } from "./schema/service.ts";
import { trafficPolicySpec } from "./schema/traffic-policy.ts";

export { KINDS } from "./kinds.ts";

const SPECS = {
  HTTPRoute: httpRouteSpec,
  GRPCRoute: grpcRouteSpec,
  Service: serviceSpec,
  TrafficPolicy: trafficPolicySpec,
  RateLimit: rateLimitSpec,
  Fault: faultSpec,
  Authorization: authorizationSpec,
  Authentication: authenticationSpec,
  Rollout: rolloutSpec,
  Mesh: meshSpec,
} satisfies Record<Kind, z.ZodType>;

const DOCUMENTS: ReadonlyMap<string, z.ZodType> = new Map(
  KIND_FACTS.map(({ kind, apiVersion, description }) => [
    kind,
    z
      .strictObject({
        apiVersion: z.literal(apiVersion),
        kind: z.literal(kind),
        metadata: kind === "Service" ? serviceMetadata : metadata,
        spec: SPECS[kind],
        status: z.unknown().optional().meta({ description: "Accepted and dropped." }),
      })
      .meta({ description }),
  ]),
);

/** What a document of this kind must look like; undefined for a kind that does not exist. */
export function documentSchema(kind: string): z.ZodType | undefined {
  return DOCUMENTS.get(kind);
}

/** JSON Schema (draft 2020-12) of a kind's documents, for editors and `weft schema`. Throws for an unknown kind. */
export function jsonSchema(kind: string): object {
  const schema = DOCUMENTS.get(kind);
  if (schema === undefined) throw new RangeError(`there is no kind ${kind}`);
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return { $schema, $id: `https://weft.mesh/schema/${kind}.json`, title: kind, ...rest };
}
