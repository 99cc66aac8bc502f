// What documents the arguments of get, describe, delete and history mean.
import { usageFailure } from "./failure.ts";
import { resolveKind } from "./kinds.ts";

/** Documents of one kind (empty: of every kind), by name (none: all of them). */
export interface Target {
  readonly kind: string;
  readonly names: readonly string[];
}

export type Targets = readonly Target[];

/**
 * Reads `KIND NAME...`, `KIND,KIND`, or `KIND/NAME...`; nothing means everything.
 * @throws CliFailure (usage) for unknown kinds and mixtures of the forms.
 */
export function parseTargets(args: readonly string[]): Targets {
  const [first, ...names] = args;
  if (first === undefined || (first.toLowerCase() === "all" && names.length === 0)) return [{ kind: "", names: [] }];
  if (args.some((arg) => arg.includes("/"))) return args.map(parsePair);
  const kinds = first.split(",").map(resolveKind);
  if (kinds.length > 1 && names.length > 0) throw usageFailure("names need exactly one kind; expected KIND NAME...");
  return kinds.map((kind) => ({ kind, names }));
}

/** Exactly one document. */
export function parseTarget(args: readonly string[]): { readonly kind: string; readonly name: string } {
  const targets = parseTargets(args);
  const [target] = targets;
  const [name] = target?.names ?? [];
  if (targets.length !== 1 || target === undefined || name === undefined || target.names.length !== 1) {
    throw usageFailure("expected one document: KIND NAME or KIND/NAME");
  }
  return { kind: target.kind, name };
}

function parsePair(arg: string): Target {
  const [kind = "", name = "", ...rest] = arg.split("/");
  if (kind === "" || name === "" || rest.length > 0) {
    throw usageFailure(`"${arg}" names no document; expected KIND/NAME, and nothing else beside it`);
  }
  return { kind: resolveKind(kind), names: [name] };
}
