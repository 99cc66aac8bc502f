// Values as YAML that any YAML reader takes back unchanged, the 1.1 ones (which read `on` as true) included.
import { stringify } from "yaml";

export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false, compat: "yaml-1.1" });
}

/** Several documents in one stream. */
export function yamlDocuments(values: readonly unknown[]): string {
  return values.map(yamlText).join("---\n");
}
