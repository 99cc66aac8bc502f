// One query parameter, found in the raw query string. Decodes as HTML forms do (`+` and percent escapes), but only
// when something is encoded. Not a parser of whole queries: routing asks for one name at a time.

const PERCENT = 37;
const PLUS = 43;

/**
 * The value of the FIRST parameter called `name` (the Gateway API recommends the first when it is repeated), decoded;
 * empty for a parameter without `=`; undefined when there is none. Broken escapes are left as they are.
 * @param query without the leading `?`
 * @param name decoded
 */
export function queryValue(query: string, name: string): string | undefined {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf("&", start);
    if (end < 0) end = query.length;
    let equals = query.indexOf("=", start);
    if (equals < 0 || equals > end) equals = end;
    if (isNamed(query, start, equals, name)) return equals === end ? "" : decode(query.slice(equals + 1, end));
    start = end + 1;
  }
  return undefined;
}

function isNamed(query: string, start: number, end: number, name: string): boolean {
  if (end - start === name.length && query.startsWith(name, start)) return end > start;
  for (let index = start; index < end; index += 1) {
    const code = query.charCodeAt(index);
    if (code === PERCENT || code === PLUS) return decode(query.slice(start, end)) === name;
  }
  return false;
}

function decode(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
