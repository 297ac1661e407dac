/**
 * JSON, parsed with bounds: neither very deep nor of very many parts, which would hold the event
 * loop for seconds, and without an object that names a property twice, of which one would be lost.
 */
import { namesIn, outlineOf } from "../lib/json-outline.ts";
import { ServiceError } from "../service/errors.ts";
import { JSON_DEPTH_MAX, JSON_PARTS_MAX } from "./limits.ts";

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
