// The schemas of all kinds, and the JSON Schema made from them.
import { describe, expect, test } from "vitest";
import { DEFAULTS } from "./defaults.ts";
import { findKind, KIND_FACTS, KINDS, kindNames } from "./kinds.ts";
import { jsonSchema } from "./schema.ts";

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly $ref?: string;
}

describe.each(KINDS)("the JSON Schema of %s", (kind) => {
  const schema = jsonSchema(kind) as JsonSchema;

  test("names its version and refuses other fields", () => {
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      title: kind,
      type: "object",
      properties: { kind: { const: kind } },
      required: ["apiVersion", "kind", "metadata", "spec"],
      additionalProperties: false,
    });
  });

  test("describes every field of the spec", () => {
    const undescribed = [...fieldsBelow(schema.properties?.["spec"], "spec")].filter(
      ([path, field]) => field.description === undefined && !/\.(type|name|value)$/.test(path),
    );
    expect(undescribed.map(([path]) => path)).toEqual([]);
  });
});

test("a kind that does not exist has no schema", () => {
  expect(() => jsonSchema("Gateway")).toThrow("there is no kind Gateway");
});

test("constraints are in the JSON Schema too", () => {
  const text = JSON.stringify(jsonSchema("HTTPRoute"));
  expect(text).toContain('"minimum":0,"maximum":1000000');
  expect(text).toContain('"enum":["Exact","PathPrefix","RegularExpression"]');
});

describe("defaults", () => {
  test.each(Object.keys(DEFAULTS))("%s is a field of its kind", (field) => {
    const [kind = "", ...steps] = field.split(".");
    let schemas: JsonSchema[] = [jsonSchema(kind) as JsonSchema];
    for (const step of steps) {
      const name = step.replace("[]", "");
      schemas = schemas.flatMap(alternatives).flatMap((schema) => schema.properties?.[name] ?? []);
      if (step.endsWith("[]")) schemas = schemas.flatMap(alternatives).flatMap((schema) => schema.items ?? []);
    }
    expect(schemas).not.toEqual([]);
  });

  test.each(Object.entries(DEFAULTS))("%s has a reason", (_field, { reason }) => {
    expect(reason.length).toBeGreaterThan(5);
  });
});

describe("names of kinds", () => {
  test.each([
    ["httproute", "HTTPRoute"],
    ["HTTPRoutes", "HTTPRoute"],
    ["svc", "Service"],
    ["TrafficPolicy", "TrafficPolicy"],
    ["meshes", "Mesh"],
  ])("%s means %s", (name, kind) => {
    expect(findKind(name)?.kind).toBe(kind);
  });

  test("no name means two kinds", () => {
    const names = KIND_FACTS.flatMap(({ kind, plural, shortNames }) => [kind.toLowerCase(), plural, ...shortNames]);
    expect(new Set(names).size).toBe(names.length);
    expect(kindNames()).toHaveLength(names.length);
  });
});

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ?? schema.oneOf ?? [schema];
}

function* fieldsBelow(schema: JsonSchema | undefined, path: string): Generator<readonly [string, JsonSchema]> {
  if (schema === undefined) return;
  for (const one of alternatives(schema)) {
    for (const [name, field] of Object.entries(one.properties ?? {})) {
      yield [`${path}.${name}`, field];
      yield* fieldsBelow(field, `${path}.${name}`);
    }
    if (one.items !== undefined) yield* fieldsBelow(one.items, `${path}[]`);
  }
}
