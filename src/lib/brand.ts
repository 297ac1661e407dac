/** Nominal types over primitives: a Term cannot be passed where an Index is meant. */

declare const brand: unique symbol;

/** A `T` that only an explicit cast can make, so that each place that makes one is visible. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
