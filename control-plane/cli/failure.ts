// How the CLI fails: one exception type that carries the exit code and everything a person or a program
// wants to know. The exit codes are a promise to scripts; nothing else in this room picks a number.
import type { DiagnosticView } from "../view/diagnostic.ts";

export const EXIT = {
  done: 0,
  failed: 1,
  invalid: 2,
  unreachable: 3,
  timedOut: 4,
  /** 128 + SIGINT, as shells report it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The word for the exit code in `-o json`. */
export type FailureCode = "failed" | "usage" | "invalid-rules" | "unreachable" | "timed-out" | "not-found";

const EXIT_OF: Readonly<Record<FailureCode, ExitCode>> = {
  failed: EXIT.failed,
  "not-found": EXIT.failed,
  usage: EXIT.invalid,
  "invalid-rules": EXIT.invalid,
  unreachable: EXIT.unreachable,
  "timed-out": EXIT.timedOut,
};

/** Ends the command. `next` says what to do about it, one line each. */
export class CliFailure extends Error {
  readonly code: FailureCode;
  readonly exitCode: ExitCode;
  readonly next: readonly string[];
  readonly diagnostics: readonly DiagnosticView[];

  constructor(
    code: FailureCode,
    message: string,
    details: { next?: readonly string[]; diagnostics?: readonly DiagnosticView[] } = {},
  ) {
    super(message);
    this.code = code;
    this.exitCode = EXIT_OF[code];
    this.next = details.next ?? [];
    this.diagnostics = details.diagnostics ?? [];
  }
}

export function usageFailure(message: string, ...next: string[]): CliFailure {
  return new CliFailure("usage", message, { next });
}
