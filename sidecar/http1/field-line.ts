// Lines of heads that are put together for every request. Joined by "+": of what stands in a template V8 asks each time
// whether it is a text.
export const LINE_END = "\r\n";
const COLON = ": ";

/** The caller vouches for both. */
export function fieldLine(name: string, value: string): string {
  return name + COLON + value + LINE_END;
}
