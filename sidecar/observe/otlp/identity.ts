// Who the sidecar is in OpenTelemetry's words: the resource that its traces, metrics and logs are of.

/** The workload: `namespace/name` of the service beside the sidecar, with what tells this instance from others. */
export interface TelemetryIdentity {
  readonly service: string;
  readonly version: string;
  /** Its id in the registry, as in `weft sidecars`. */
  readonly instance: string;
  readonly zone: string;
  readonly programVersion: string;
}

/** What is known of it from the start: all but the registry's name for this instance. */
export type KnownIdentity = Omit<TelemetryIdentity, "instance">;

/** The registry's name for an instance says where it is reached, which is known when its listener is bound. */
export class PendingIdentity {
  readonly #known: KnownIdentity;
  readonly #whole = Promise.withResolvers<TelemetryIdentity>();

  constructor(known: KnownIdentity) {
    this.#known = known;
  }

  /** Resolves once it is complete: nothing is sent before. */
  get whole(): Promise<TelemetryIdentity> {
    return this.#whole.promise;
  }

  /** @param instance the workload's id; "": it never got one. Only the first call counts. */
  complete(instance: string): void {
    this.#whole.resolve({ ...this.#known, instance });
  }
}

/** Attributes of the resource. What the Mesh document says comes last and wins. */
export function resourceAttributes(
  { service, version, instance, zone, programVersion }: TelemetryIdentity,
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  const [namespace = "", name = ""] = service.split("/");
  return {
    "service.name": name,
    "service.namespace": namespace,
    ...(version === "" ? {} : { "service.version": version }),
    ...(instance === "" ? {} : { "service.instance.id": instance }),
    ...(zone === "" ? {} : { "cloud.availability_zone": zone }),
    "telemetry.distro.name": "weft",
    "telemetry.distro.version": programVersion,
    ...extra,
  };
}
