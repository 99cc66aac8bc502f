// A decoded head as the rule language sees it, for lookups in routes and matches of policies.
import type { PathPlace } from "../../rules/routing/path-place.ts";
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
    const { head } = this;
    // A tunnel has no path of its own: rules for all paths are for it too.
    return head?.isConnect === true ? "/" : (head?.path ?? "");
  }

  get place(): PathPlace | undefined {
    return this.head?.knownLine?.place;
  }

  get query(): string {
    return this.head?.query ?? "";
  }

  header(lowerName: string): string | undefined {
    return lowerName === "host" ? this.head?.authority : this.head?.value(lowerName);
  }
}
