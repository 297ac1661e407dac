/** Query parameters: each known, and given once. A misspelt condition must not be lost. */
import { z } from "zod";
import { ServiceError } from "../service/errors.ts";
import { queryOf } from "./url.ts";

/** Reads the query of a URL. Throws ServiceError INVALID_PARAM that names what is wrong. */
export type QueryReader<T> = (url: string) => T;

/** Makes a reader of the parameters that `shape` names. Most requests have none, which is free. */
export function queryReader<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): QueryReader<z.output<z.ZodObject<Shape, z.core.$strict>>> {
  const schema = z.strictObject(shape);
  const without = schema.parse({});
  return (url) => {
    const query = queryOf(url);
    return query === "" ? without : read(schema, split(query));
  };
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

export function invalid(text: string): ServiceError {
  return new ServiceError("INVALID_PARAM", text);
}

/** `name`, `name=true` or `name=false`. */
export function flag() {
  return z
    .enum(["", "true", "1", "false", "0"], "use true or false")
    .transform((text) => text === "" || text === "true" || text === "1")
    .default(false);
}

/** A number of the store, such as a revision. */
export function wholeNumber() {
  const must = "use a whole number";
  return z
    .string()
    .regex(/^\d{1,16}$/, must)
    .transform(Number)
    .refine(Number.isSafeInteger, must);
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
    .refine((ms) => ms >= minMs && ms <= maxMs, must);
}

/** A parameter of the API that this version does not know yet. */
export function notYet(what: string) {
  return z
    .string()
    .refine(() => false, `${what} are not available on this cluster`)
    .optional();
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000 } as const;
type Unit = keyof typeof UNIT_MS;
