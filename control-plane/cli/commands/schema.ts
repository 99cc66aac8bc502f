// weft schema: JSON Schema of one kind or of all, for editors and generators. Always one document on stdout.
import { jsonSchema, KINDS } from "../../../rules/schema.ts";
import type { Invocation } from "../command.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { resolveKind } from "../kinds.ts";

const JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema";

export async function schema(invocation: Invocation): Promise<ExitCode> {
  const { args, output, shell } = invocation;
  const [word] = args;
  const document = word === undefined ? everyKind() : jsonSchema(resolveKind(word));
  if (output === "yaml") {
    const { yamlText } = await import("../print/yaml.ts");
    shell.stdout.write(yamlText(document));
  } else shell.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return EXIT.done;
}

/** A document is of exactly one kind. */
function everyKind(): object {
  return {
    $schema: JSON_SCHEMA_DIALECT,
    title: "Weft rule document",
    oneOf: KINDS.map((kind) => ({ $ref: `#/$defs/${kind}` })),
    $defs: Object.fromEntries(KINDS.map((kind) => [kind, withoutDialect(jsonSchema(kind))])),
  };
}

function withoutDialect(document: object): object {
  const { $schema: _, ...rest } = document as { readonly $schema?: unknown };
  return rest;
}
