// Service of weft.mesh/v1: ports and where the instances are, by the labels of sidecars or as static endpoints.
import { z } from "zod";
import { checked, freeText, list, oneOf, type Problem, port, quote, text, textMap } from "./field.ts";
import { ENDPOINTS_MAX, PORTS_MAX } from "./limits.ts";
import { weight } from "./reference.ts";

const PROTOCOLS = ["http", "h2c", "grpc", "tcp"] as const;

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Keys and values as Kubernetes defines labels. */
export const labelKey = text({
  name: "a label key",
  expected: "letters, digits, '-', '_' and '.', with a DNS prefix and '/' or not",
  lengthMax: 317,
  test: (value) => LABEL_KEY.test(value),
});
export const labelValue = text({
  name: "a label value",
  expected: "at most 63 letters, digits, '-', '_' and '.', or nothing",
  lengthMax: 63,
  test: (value) => LABEL_VALUE.test(value),
});

const IPV6_PORT = /^\[[0-9a-fA-F:.]+(%[0-9a-zA-Z]+)?\]:(\d{1,5})$/;
const HOST_PORT = /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?:(\d{1,5})$/;

/** True for `HOST:PORT`, with IPv6 addresses in brackets. */
function isHostPort(value: string): boolean {
  const number = Number((IPV6_PORT.exec(value) ?? HOST_PORT.exec(value))?.[2] ?? 0);
  return number >= 1 && number <= 65_535;
}

const hostPort = (description: string): z.ZodString =>
  text({
    name: "an address",
    expected: "HOST:PORT, as in 10.0.0.1:8080 or [::1]:8080",
    lengthMax: 261,
    description,
    test: isHostPort,
  });

const portNumber = text({
  name: "a port number",
  expected: 'a number from 1 to 65535 in quotes, as in "80"',
  lengthMax: 5,
  test: (value) => /^[1-9]\d*$/.test(value) && Number(value) <= 65_535,
});

const endpoint = checked(
  z.strictObject({
    address: hostPort("Where the endpoint listens, for every port of the service.").optional(),
    addresses: z
      .record(portNumber, hostPort("Where it listens for this port."))
      .optional()
      .meta({ description: 'Where it listens, by port of the service: {"80": "10.0.0.1:8080"}.' }),
    labels: textMap(labelKey, labelValue, "Labels of the endpoint.").optional(),
    weight,
    zone: freeText("Zone of the endpoint.", 253).optional(),
  }),
  ({ address, addresses }) => {
    if (address !== undefined && addresses !== undefined) {
      return { message: "has both address and addresses", expected: "one of them" };
    }
    if (address !== undefined) return undefined;
    if (addresses === undefined) return { message: "has no address", expected: "address or addresses" };
    return Object.keys(addresses).length > 0
      ? undefined
      : { message: "is empty", expected: "an address for a port at least", path: ["addresses"] };
  },
).meta({ description: "One instance at a fixed address." });

const servicePort = z
  .strictObject({
    port: port("Port by which callers name it."),
    protocol: oneOf(PROTOCOLS, "What is spoken there (default http).").optional(),
  })
  .meta({ description: "A port of the service." });

function repeatedPorts(ports: readonly { readonly port: number }[]): Problem[] {
  const seen = new Set<number>();
  return ports.flatMap(({ port: number }, index): Problem[] => {
    const repeated = seen.has(number);
    seen.add(number);
    return repeated
      ? [{ message: `port ${number} is there twice`, expected: "each port once", path: [index, "port"] }]
      : [];
  });
}

function serviceProblems(spec: ServiceShape): Problem[] {
  if (spec.selector !== undefined && spec.endpoints !== undefined) {
    return [{ message: "has both selector and endpoints", expected: "one of them" }];
  }
  const ports = new Set((spec.ports ?? [{ port: 80 }]).map((item) => String(item.port)));
  return (spec.endpoints ?? []).flatMap((item, index) =>
    Object.keys(item.addresses ?? {})
      .filter((key) => !ports.has(key))
      .map((key) => ({
        message: `the service has no port ${quote(Number(key))}`,
        expected: `one of ${[...ports].join(", ")}`,
        path: ["endpoints", index, "addresses", key],
      })),
  );
}

interface ServiceShape {
  readonly ports?: readonly { readonly port: number }[] | undefined;
  readonly selector?: Readonly<Record<string, string>> | undefined;
  readonly endpoints?: readonly { readonly addresses?: Readonly<Record<string, string>> | undefined }[] | undefined;
}

export const serviceSpec = checked(
  z.strictObject({
    ports: checked(
      list(servicePort, { min: 1, max: PORTS_MAX }, "Ports (default: 80, http)."),
      repeatedPorts,
    ).optional(),
    selector: checked(
      textMap(
        labelKey,
        labelValue,
        "Labels of the sidecars that are its instances; `service` and `version` are labels too.",
      ),
      (labels) => (Object.keys(labels).length > 0 ? undefined : { message: "is empty", expected: "a label at least" }),
    ).optional(),
    endpoints: list(endpoint, { max: ENDPOINTS_MAX }, "Instances at fixed addresses.").optional(),
  }),
  serviceProblems,
).meta({ description: "A service: its ports and its instances." });

export type ServiceSpec = z.infer<typeof serviceSpec>;
export type ServiceEndpoint = z.infer<typeof endpoint>;
