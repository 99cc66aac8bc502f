// What was done to the documents of releases and is not acted on yet: who wrote each, and which were deleted. In memory:
// after a restart nobody is named for it.
import { qualifiedName } from "../../rules/diagnostic.ts";
import type { Committed } from "../store/rulebook.ts";

export class DocumentChanges {
  readonly #writers = new Map<string, string>();
  /** Who applies the same document again by the time that it is forgotten begins another release. */
  readonly #deleters = new Map<string, string>();

  /** @returns whether a Rollout is among them */
  note({ changes, author, cause }: Committed): boolean {
    let isOurs = false;
    for (const { operation, key } of changes) {
      if (key.kind !== "Rollout") continue;
      isOurs = true;
      const name = qualifiedName(key.namespace, key.name);
      // The revisions of the releases themselves are nobody's word.
      if (operation !== "delete" && cause !== "rollout") this.#writers.set(name, author);
      if (operation !== "delete") continue;
      this.#deleters.set(name, author);
      this.#writers.delete(name);
    }
    return isOurs;
  }

  isDeleted(key: string): boolean {
    return this.#deleters.has(key);
  }

  /** Who wrote it since it was asked last; "": nobody, or nobody knows. */
  takeWriter(key: string): string {
    const author = this.#writers.get(key) ?? "";
    this.#writers.delete(key);
    return author;
  }

  deleterOf(key: string): string {
    return this.#deleters.get(key) ?? "";
  }

  /** The deletion is acted on. */
  forgetDeleter(key: string): void {
    this.#deleters.delete(key);
  }
}
