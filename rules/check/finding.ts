// What a check of the meaning of documents finds, before it has a place in a file.
import type { Severity } from "../diagnostic.ts";
import type { Document } from "../document.ts";
import type { FieldPath } from "../field-path.ts";

export interface CheckFinding {
  readonly document: Document;
  readonly severity: Severity;
  readonly path: FieldPath;
  readonly message: string;
  readonly expected?: string;
  readonly suggestion?: string;
}
