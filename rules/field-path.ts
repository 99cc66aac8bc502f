// Field paths such as `spec.rules[0].matches[1].path.value`: between text, as people read them, and steps.

export type FieldPath = readonly (string | number)[];

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const STEP = /\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/y;

/** Keys that are no plain words (labels, say) are written `["app.kubernetes.io/name"]`. */
export function formatPath(path: FieldPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!PLAIN_KEY.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** The steps of a path's text; what follows the first step that cannot be read is left out. */
export function parsePath(text: string): FieldPath {
  const path: (string | number)[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const step = STEP.exec(text);
    if (step === null) break;
    if (step[1] !== undefined) path.push(step[1]);
    else if (step[2] !== undefined) path.push(Number(step[2]));
    else path.push(String(JSON.parse(step[3] ?? '""')));
  }
  return path;
}
