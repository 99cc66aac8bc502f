// Takes what a decoder finds, as pairs of strings, for tests.
import type { FieldSink } from "../hpack-decoder.ts";

export class FieldList implements FieldSink {
  readonly fields: [name: string, value: string][] = [];
  readonly sensitive: string[] = [];

  add(
    name: string,
    value: string,
    _kind: number,
    _nameClasses: number,
    _valueClasses: number,
    sensitive: number,
  ): void {
    this.fields.push([name, value]);
    if (sensitive === 1) this.sensitive.push(name);
  }
}
