/** What can be said of a JSON text without parsing it, and what parsing hides. */

/** What stands outside of strings. */
export interface Outline {
  /** Of properties: each is followed by a colon. */
  readonly names: number;
  readonly commas: number;
  /** Of arrays and objects in each other. */
  readonly depth: number;
}

/** Of any text: what is no JSON is found when it is parsed. */
export function outlineOf(text: string): Outline {
  let names = 0;
  let commas = 0;
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '"':
        at = endOfString(text, at + 1);
        break;
      case ":":
        names += 1;
        break;
      case ",":
        commas += 1;
        break;
      case "{":
      case "[":
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case "}":
      case "]":
        depth -= 1;
        break;
      default:
    }
  }
  return { names, commas, depth: deepest };
}

/** Where the quote is that ends a string, or the text if none does. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

/**
 * How many properties all objects in a value have. Fewer than its text names: one names a property
 * twice, of which all but the last are lost.
 */
export function namesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside: readonly unknown[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : inside.length;
  for (const each of inside) count += namesIn(each);
  return count;
}
