// The two text formats of metrics, and which one a scraper gets: Prometheus' own 0.0.4 and OpenMetrics 1.0.0.

export type ExpositionFormat = "prometheus" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The format that a scraper likes best, by its Accept field (RFC 9110 section 12.5.1). */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  let text = 0;
  let openMetrics = 0;
  for (const range of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="));
    const q = weight === undefined ? 1 : Number(weight.slice(2)) || 0;
    const version = parameters.find((parameter) => parameter.startsWith("version="))?.slice(8);
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0"))
      openMetrics = Math.max(openMetrics, q);
    else if (type === "text/plain" || type === "text/*" || type === "*/*") text = Math.max(text, q);
  }
  return openMetrics > 0 && openMetrics >= text ? "openmetrics" : "prometheus";
}

export interface Metadata {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
}

/** The lines before the samples of a family. In OpenMetrics a counter's family is without the suffix of its samples. */
export function metadataLines({ name, help, type }: Metadata, format: ExpositionFormat): string[] {
  if (format === "prometheus") return [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
  const family = type === "counter" ? name.replace(/_total$/, "") : name;
  const unit = /_(seconds|bytes)$/.exec(family)?.[1];
  const lines = [`# TYPE ${family} ${type}`];
  if (unit !== undefined) lines.push(`# UNIT ${family} ${unit}`);
  lines.push(`# HELP ${family} ${escaped(help).replaceAll('"', '\\"')}`);
  return lines;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** The bound of a bucket. OpenMetrics writes whole numbers as floats: 1.0. */
export function boundText(bound: number, format: ExpositionFormat): string {
  return format === "openmetrics" && Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

/** A sample's value, or an exemplar's; also what a sum of too much comes to. */
export function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
