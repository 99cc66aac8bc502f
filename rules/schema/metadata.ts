// metadata of every kind: what Weft keeps, and what Kubernetes adds to documents that were read back from it, which is
// accepted and dropped so that `kubectl get -o yaml` output can be applied as it is.
import { z } from "zod";
import { checked, dnsLabel, quote, subdomain } from "./field.ts";
import { labelKey, labelValue } from "./service.ts";

/** Fields of metadata that are accepted and dropped. */
const FOREIGN = {
  uid: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  generation: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
  finalizers: z.unknown().optional(),
  selfLink: z.unknown().optional(),
  deletionTimestamp: z.unknown().optional(),
  deletionGracePeriodSeconds: z.unknown().optional(),
};

/** All annotations of one document together, as in Kubernetes. */
const ANNOTATION_CHARACTERS_MAX = 256 * 1024;

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const timestamp = checked(z.string(), (value) =>
  RFC3339.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : { message: `${quote(value)} is not a time`, expected: "RFC 3339, as in 2026-01-31T12:00:00Z" },
).meta({ format: "date-time", description: "When it was created; older routes win where all else is equal." });

const annotations = checked(z.record(labelKey, z.string({ error: "text" })), (map) => {
  const characters = Object.entries(map).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return characters <= ANNOTATION_CHARACTERS_MAX
    ? undefined
    : { message: `has ${characters} characters`, expected: `at most ${ANNOTATION_CHARACTERS_MAX}` };
});

/** Also what documents that name none are put in. */
export const NAMESPACE = dnsLabel("Namespace (default: default).");

const fields = {
  namespace: NAMESPACE.optional(),
  labels: z.record(labelKey, labelValue).nullish().meta({ description: "Labels." }),
  annotations: annotations.nullish().meta({ description: "Annotations." }),
  creationTimestamp: timestamp.nullish(),
  ...FOREIGN,
};

export const metadata = z
  .strictObject({ name: subdomain("Name, unique for its kind and namespace."), ...fields })
  .meta({ description: "Name, namespace, labels and annotations." });

/** A service is called by its name, where a dot parts the name from the namespace: so none in the name. */
export const serviceMetadata = z
  .strictObject({ name: dnsLabel("Name by which callers call it."), ...fields })
  .meta({ description: "Name, namespace, labels and annotations." });
