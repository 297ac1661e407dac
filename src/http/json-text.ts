/**
 * JSON, parsed with bounds: neither very deep nor of very many parts, which would hold the event
 * loop for seconds, and without an object that names a property twice, of which one would be lost.
 */
import { ServiceError } from "../service/errors.ts";
import { JSON_DEPTH_MAX, JSON_PARTS_MAX } from "./limits.ts";

/** What stands outside of strings. */
interface Outline {
  /** Of properties: each is followed by a colon. */
  readonly names: number;
  readonly commas: number;
  /** Of arrays and objects in each other. */
  readonly depth: number;
}

/** What a text stands for. Throws ServiceError INVALID_JSON. */
export function parseJson(text: string): unknown {
  const { names, commas, depth } = outlineOf(text);
  if (depth > JSON_DEPTH_MAX) throw refused(`it is nested more than ${JSON_DEPTH_MAX} deep`);
  if (names + commas > JSON_PARTS_MAX) throw refused(`it has more than ${JSON_PARTS_MAX} parts`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
  if (namesIn(value) === names) return value;
  throw refused("an object names a property twice");
}

function refused(why: string): ServiceError {
  return new ServiceError("INVALID_JSON", `the body cannot be read as JSON: ${why}`);
}

/** Of any text: what is no JSON is found when it is parsed. */
function outlineOf(text: string): Outline {
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

/** How many properties all objects in a value have. */
function namesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside: readonly unknown[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : inside.length;
  for (const each of inside) count += namesIn(each);
  return count;
}
