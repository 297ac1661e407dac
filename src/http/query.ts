/** Query parameters: each known, and given once. A misspelt condition must not be lost. */
import { z } from "zod";
import { keyOf } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";
import { ERROR_CHARS_MAX } from "./limits.ts";
import { queryOf } from "./url.ts";

/** Reads the query of a URL. Throws ServiceError INVALID_PARAM that names what is wrong. */
export interface QueryReader<T> {
  (url: string): T;
  /** What it accepts, for the description of the API. */
  readonly schema: z.ZodObject;
}

/** Makes a reader of the parameters that `shape` names. Most requests have none, which is free. */
export function queryReader<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): QueryReader<z.output<z.ZodObject<Shape, z.core.$strict>>> {
  const schema = z.strictObject(shape);
  const without = schema.parse({});
  const reader = (url: string) => {
    const query = queryOf(url);
    return query === "" ? without : read(schema, split(query));
  };
  return Object.assign(reader, { schema });
}

function read<T>(schema: z.ZodType<T>, given: Readonly<Record<string, string>>): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw invalid(`there is no parameter ${issue.keys.map((name) => `"${name}"`).join(", ")} here`);
  }
  throw invalid(`the parameter "${issue?.path.join(".")}" cannot be used: ${issue?.message}`);
}

function split(query: string): Readonly<Record<string, string>> {
  const given = new Map<string, string>();
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decode(equals === -1 ? part : part.slice(0, equals));
    if (given.has(name)) throw invalid(`the parameter "${name}" is given twice`);
    given.set(name, equals === -1 ? "" : decode(part.slice(equals + 1)));
  }
  return Object.fromEntries(given);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalid("an escape in the query cannot be read"); // Whatever it was meant to be.
  }
}

/** What is wrong with a parameter or a property; what it quotes of the request may be long. */
export function invalid(text: string): ServiceError {
  const isShort = text.length <= ERROR_CHARS_MAX;
  return new ServiceError("INVALID_PARAM", isShort ? text : `${text.slice(0, ERROR_CHARS_MAX)}…`);
}

/** `name`, `name=true` or `name=false`. */
export function flag() {
  return (
    z
      .enum(["", "true", "1", "false", "0"], "use true or false")
      .transform((text) => text === "" || text === "true" || text === "1")
      // Not a default: what is described is the text that a query may hold.
      .prefault("false")
  );
}

/** A number of the store, such as a revision, or one within bounds. */
export function wholeNumber(bounds?: { readonly min: number; readonly max: number }) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds ?? {};
  const must =
    bounds === undefined ? "use a whole number" : `use a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,16}$/, must)
    .transform(Number)
    .refine((number) => number >= min && number <= max, must)
    .meta({ description: bounds === undefined ? "a whole number" : `from ${min} to ${max}` });
}

/** Any text. */
export function text() {
  return z.string();
}

/** A key or a part of one, of at least so many bytes. */
export function keyText({ bytesMin = 0 } = {}) {
  return z
    .string()
    .transform((given) => keyOf(Buffer.from(given, "utf8")))
    .refine((key) => key.length >= bytesMin, "it must not be empty")
    .meta({ description: bytesMin > 0 ? "a text that is not empty" : "a text" });
}

/** A time such as `500ms`, `2.5s` or `1m`, in milliseconds. */
export function duration(bounds: { readonly minMs: number; readonly maxMs: number }) {
  const { minMs, maxMs } = bounds;
  const must = `use a time such as 500ms or 5s, of ${minMs} to ${maxMs} ms`;
  return z
    .string()
    .transform((text) => {
      const [, number, unit] = /^(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)$/.exec(text) ?? [];
      return unit === undefined ? Number.NaN : Number(number) * UNIT_MS[unit as Unit];
    })
    .refine((ms) => ms >= minMs && ms <= maxMs, must)
    .meta({ description: `a time such as 500ms, 2.5s or 1m, of ${minMs} to ${maxMs} ms` });
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000 } as const;
type Unit = keyof typeof UNIT_MS;
