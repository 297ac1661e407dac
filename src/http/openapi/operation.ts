/** What the document of the API says of one route: one entry for each method and path. */
import type { z } from "zod";
import type { ErrorCode } from "../../service/errors.ts";
import type { RequestHeader, ResponseHeader } from "./headers.ts";

export type Method = "get" | "put" | "post" | "patch" | "delete";

/** An answer that is no error. */
export interface Success {
  readonly description: string;
  readonly headers: readonly ResponseHeader[];
  /** By media type; none: there is no body. */
  readonly content: Readonly<Record<string, z.ZodType>>;
}

/** A request that can be sent as it is. */
export interface Example {
  readonly url: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

export interface Operation {
  /** Unique. Of the first of the methods; those that follow do the same. */
  readonly id: string;
  readonly methods: readonly [Method, ...Method[]];
  /** With names in braces for what stands for something else. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** The parameters, by the schema that checks them. */
  readonly query: z.ZodObject;
  /** Those of the same route where the client accepts events. */
  readonly eventsQuery?: z.ZodObject;
  /** What parameters mean here, where that is not as everywhere. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly headers: readonly RequestHeader[];
  /** By media type, the schemas whose fields the route accepts; none: there is no body. */
  readonly body?: Readonly<Record<string, z.ZodType>>;
  readonly successes: Readonly<Record<number, Success>>;
  readonly errors: readonly ErrorCode[];
  /** What the answers to some of these say in their headers, besides what all errors do. */
  readonly errorHeaders?: Readonly<Partial<Record<ErrorCode, readonly ResponseHeader[]>>>;
  readonly example: Example;
  /** There is no HEAD beside the GET. */
  readonly isStream?: true;
}
