// Who the sidecar is in OpenTelemetry's words: the resource that its traces, metrics and logs are of.

/** `namespace/name` of the service beside the sidecar, with what tells this instance from others. */
export interface TelemetryIdentity {
  readonly service: string;
  readonly version: string;
  readonly instance: string;
  readonly zone: string;
  readonly programVersion: string;
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
