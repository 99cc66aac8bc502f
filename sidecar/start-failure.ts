// Why a sidecar does not start, in words for the person who started it, with the exit code that goes with it.

/** What a person can do something about; anything else that is thrown is a bug. */
export class StartFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = "StartFailure";
    this.code = code;
  }
}

/** What went wrong with the address of a flag, and what to do about it. */
export function bindFailure(flag: string, address: string, error: unknown): StartFailure {
  const { code, message } = error as NodeJS.ErrnoException;
  return new StartFailure(1, `error: cannot listen on ${flag} ${address}: ${bindAdvice(code, message, flag)}`);
}

function bindAdvice(code: string | undefined, message: string, flag: string): string {
  const form =
    flag === "--tcp"
      ? "HOST:PORT=SERVICE (port 0 takes a free one)"
      : `HOST:PORT (port 0 takes a free one), or ${flag} off`;
  const elsewhere = `choose another with ${flag} ${form}`;
  switch (code) {
    case "EADDRINUSE":
      return `the address is in use, perhaps by another sidecar; end that one, or ${elsewhere}`;
    case "EACCES":
      return `this user may not take that port; ${elsewhere}`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `this machine has no such address; ${elsewhere}`;
    default:
      return message;
  }
}
