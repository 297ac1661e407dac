/**
 * Copies and descriptions of whatever a node is made of, field by field, private ones too: nothing
 * that could decide what it does next is left out, and nothing has to be listed.
 */
import type { Entry } from "../../src/raft/entry.ts";

/** What never changes is shared by all copies. */
const SHARED: ReadonlySet<string> = new Set(["options"]);

/** A copy that shares nothing with the original but what is immutable. */
export function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null || isEntry(value)) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => copyOf(item)) as T;
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [key, copyOf<unknown>(item)])) as T;
  }
  if (value instanceof Set) return new Set(value) as T;
  const copy = Object.create(Object.getPrototypeOf(value)) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) {
    copy[key] = SHARED.has(key) ? item : copyOf<unknown>(item);
  }
  return copy as T;
}

/** A copy in which every text that names a node names another one; lists and maps stay sorted. */
export function renamed<T>(value: T, names: ReadonlyMap<unknown, unknown>): T {
  if (typeof value !== "object" || value === null) return (names.get(value) ?? value) as T;
  if (isEntry(value)) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => renamed(item, names));
    if (items.every(isNamed)) return items.sort((x, y) => byText(x.id, y.id)) as T;
    return (items.every((item) => typeof item === "string") ? items.sort() : items) as T;
  }
  if (value instanceof Map) {
    const pairs = [...(value as Map<unknown, unknown>)];
    const images = pairs.map(([k, v]) => [renamed(k, names), renamed(v, names)] as const);
    return new Map(images.sort(([a], [b]) => byText(a, b))) as T;
  }
  if (value instanceof Set) {
    const images = [...(value as Set<unknown>)].map((item) => renamed(item, names));
    return new Set(images.sort(byText)) as T;
  }
  const copy = Object.create(Object.getPrototypeOf(value)) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) {
    copy[key] = SHARED.has(key) ? item : renamed<unknown>(item, names);
  }
  return copy as T;
}

/** Members of a configuration are ordered by name. */
function isNamed(item: unknown): item is { readonly id: string } {
  return typeof item === "object" && item !== null && "id" in item;
}

function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1;
}

/** A text that is equal for equal values, and for no others. */
export function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (isEntry(value)) return describeEntry(value);
  if (Array.isArray(value)) return `[${value.map(describe).join()}]`;
  if (value instanceof Map) {
    return `<${[...value]
      .map(([key, item]) => `${key}:${describe(item)}`)
      .sort()
      .join()}>`;
  }
  if (value instanceof Set) return `<${[...(value as Set<unknown>)].map(String).sort().join()}>`;
  let text = "{";
  for (const [key, item] of Object.entries(value)) {
    if (!SHARED.has(key)) text += `${key}=${describe(item)},`;
  }
  return `${text}}`;
}

/** Entries of one index and term may differ only where something is wrong: so say what is in it. */
export function describeEntry({ term, kind, data }: Entry): string {
  return kind === "noop" ? `${term}` : `${term}${kind.charAt(0)}${data.join(".")}`;
}

function isEntry(value: object): value is Entry {
  return "bytes" in value && "kind" in value;
}
