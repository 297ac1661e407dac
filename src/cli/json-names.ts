/** Whether a JSON text names a property twice in one object: parsed, all but the last is lost. */

/** `value` is what `JSON.parse` makes of the text, and not nested so deep that it is a danger. */
export function hasNameTwice(json: string, value: unknown): boolean {
  return colonsIn(json) !== namesIn(value);
}

/** Outside of strings: there is one behind each name, and nowhere else. */
function colonsIn(json: string): number {
  let count = 0;
  let isString = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '"') isString = !isString;
    else if (isString && character === "\\") at += 1;
    else if (!isString && character === ":") count += 1;
  }
  return count;
}

/** How many properties all objects in a value have. */
function namesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside: readonly unknown[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : inside.length;
  for (const each of inside) count += namesIn(each);
  return count;
}
