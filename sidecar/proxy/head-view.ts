// A decoded head as the rule language sees it, for lookups in routes and matches of policies.
import type { RequestView } from "../../rules/routing/request-view.ts";
import type { MessageHead } from "../http1/head.ts";

/** One object for all requests of a router, because a lookup does not outlive its call. */
export class HeadView implements RequestView {
  head: MessageHead | undefined = undefined;
  port = 0;
  fromNamespace = "";

  get method(): string {
    return this.head?.method ?? "";
  }

  get path(): string {
    return this.head?.path ?? "";
  }

  get query(): string {
    return this.head?.query ?? "";
  }

  header(lowerName: string): string | undefined {
    return lowerName === "host" ? this.head?.authority : this.head?.value(lowerName);
  }
}
