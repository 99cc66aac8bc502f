// Load that an endpoint reports with its answers: the `endpoint-load-metrics` field of ORCA (gRFC A51, xDS
// OrcaLoadReport), in its text and its JSON form. Reads what weights go by and nothing else.

/** As gRPC's weighted round-robin: what the application says of itself before what its machine says. */
const NAMES = ["application_utilization", "cpu_utilization"];

/** 0 and above, 1 is full; -1 when the field says nothing of the kind. */
export function reportedUtilization(field: string): number {
  const separator = field.indexOf(" ");
  const format = field.slice(0, separator);
  const report = field.slice(separator + 1);
  if (format === "JSON") return fromJson(report);
  return format === "TEXT" ? fromText(report) : -1;
}

function fromText(report: string): number {
  const values = new Map(report.split(",").map((pair) => split(pair)));
  return first((name) => Number(values.get(name) ?? -1));
}

function split(pair: string): [string, string] {
  const equals = pair.indexOf("=");
  return [pair.slice(0, Math.max(0, equals)).trim(), pair.slice(equals + 1).trim()];
}

function fromJson(report: string): number {
  try {
    const values: unknown = JSON.parse(report);
    if (typeof values !== "object" || values === null) return -1;
    return first((name) => (Object.hasOwn(values, name) ? Number((values as Record<string, unknown>)[name]) : -1));
  } catch {
    return -1;
  }
}

function first(read: (name: string) => number): number {
  for (const name of NAMES) {
    const value = read(name);
    if (Number.isFinite(value) && value >= 0) return value;
  }
  return -1;
}
