// The source of a stand-alone sidecar: rule files. Nobody is told anything, because nobody is there.

import type { Source, SourceStatus } from "./source.ts";
import { type StandAloneOptions, StandAloneRules } from "./stand-alone/stand-alone.ts";

export class RulesSource implements Source {
  readonly resolver: StandAloneRules;

  constructor(options: StandAloneOptions) {
    this.resolver = new StandAloneRules(options);
  }

  load(): Promise<readonly string[]> {
    return this.resolver.load();
  }

  begin(): Promise<void> {
    return this.resolver.watch();
  }

  announce(): boolean {
    return false;
  }

  stop(): Promise<void> {
    return this.resolver.stop();
  }

  describe(): string {
    const { path, revision, problems } = this.resolver.status;
    const trouble = problems.length === 0 ? "" : `; the files changed since and are not valid: ${problems[0]}`;
    return `revision ${revision} from rules in ${path}${trouble}`;
  }

  get status(): SourceStatus {
    return { discovery: undefined, standAlone: this.resolver.status, subscriptions: [], cacheSavedAtMs: 0 };
  }
}
