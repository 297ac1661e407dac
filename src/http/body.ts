/** What request bodies hold: read as what they say they are, and refused where they are not. */
import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyRequest } from "fastify";
import { VALUE_BYTES_MAX } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";
import { parseJson } from "./json-text.ts";
import { invalid } from "./query.ts";

/** What a body holds: a JSON object, by its properties, or bytes to be taken as they are. */
export type Content =
  | { readonly type: "json"; readonly fields: Fields }
  | { readonly type: "bytes"; readonly bytes: Uint8Array };

/** The properties of a JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** The media types whose bodies are JSON, or the bytes themselves. */
const JSON_TYPES: readonly string[] = ["application/json"];
const BYTES_TYPES: readonly string[] = ["application/octet-stream", "text/plain"];

/** A body that must be a JSON object. Without a content type, it is taken for JSON. */
export function jsonFields({ headers, body }: FastifyRequest): Fields {
  if (!isOneOf(JSON_TYPES, headers["content-type"])) throw wrongType(JSON_TYPES);
  notEncoded(headers);
  return parseObject(bytesIn(body));
}

/** The same where the body may be left out: then it has no properties. */
export function optionalFields(request: FastifyRequest): Fields {
  return bytesIn(request.body).length === 0 ? {} : jsonFields(request);
}

/** A body that may also be plain bytes. */
export function contentOf({ headers, body }: FastifyRequest): Content {
  const type = headers["content-type"];
  notEncoded(headers);
  if (type !== undefined && isOneOf(BYTES_TYPES, type)) {
    return { type: "bytes", bytes: bytesIn(body) };
  }
  if (!isOneOf(JSON_TYPES, type)) throw wrongType([...JSON_TYPES, ...BYTES_TYPES]);
  return { type: "json", fields: parseObject(bytesIn(body)) };
}

/** Conditions in a body that nobody reads would be lost. */
export function noBody({ body }: FastifyRequest): void {
  if (bytesIn(body).length === 0) return;
  throw invalid("this request takes no body: give its conditions as parameters or headers");
}

/** Throws ServiceError INVALID_PARAM where there is a property that nobody would read. */
export function checkFields(fields: Fields, { shape }: { readonly shape: object }): void {
  for (const name of Object.keys(fields)) {
    if (Object.hasOwn(shape, name)) continue;
    throw invalid(`"${name}" in the body is not known here`);
  }
}

/** The bytes of a text to store. Throws ServiceError where it is not text, or too much of it. */
export function textValue(value: unknown): Uint8Array {
  if (typeof value !== "string") {
    const text = value === undefined ? 'the body has no "value"' : '"value" is not a string';
    throw new ServiceError("INVALID_VALUE", text);
  }
  if (!value.isWellFormed()) {
    throw new ServiceError("INVALID_VALUE", '"value" has half of a surrogate pair: it is not text');
  }
  return checkedValue(Buffer.from(value, "utf8"));
}

/** The same bytes, unless they are too many. */
export function checkedValue(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= VALUE_BYTES_MAX) return bytes;
  const most = `a value has at most ${VALUE_BYTES_MAX} bytes`;
  throw new ServiceError("VALUE_TOO_LARGE", `${most}, and this one has ${bytes.length}`);
}

/** The bytes that base64 stands for. It must be the one that stands for them, padding included. */
export function base64Value(value: unknown): Uint8Array {
  if (typeof value === "string") {
    const bytes = Buffer.from(value, "base64");
    if (bytes.toString("base64") === value) return checkedValue(bytes);
  }
  throw new ServiceError("INVALID_VALUE", '"value" is not base64');
}

function isOneOf(types: readonly string[], contentType: string | undefined): boolean {
  if (contentType === undefined || types.includes(contentType)) return true;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  if (!types.includes(type.trim())) return false;
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  return charset === undefined || /^charset="?utf-?8"?$/.test(charset);
}

/** Compressed bytes would be stored as if they were the value. */
function notEncoded({ "content-encoding": encoding }: IncomingHttpHeaders): void {
  if (encoding === undefined || encoding === "identity") return;
  throw new ServiceError("UNSUPPORTED_MEDIA_TYPE", "send a body without a content encoding");
}

function wrongType(types: readonly string[]): ServiceError {
  const text = `send a body of type ${types.join(" or ")}, in UTF-8`;
  return new ServiceError("UNSUPPORTED_MEDIA_TYPE", text);
}

/** Throws the ServiceError that stands in place of a body. */
function bytesIn(body: unknown): Buffer {
  if (body instanceof ServiceError) throw body;
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function parseObject(body: Buffer): Fields {
  if (body.length === 0) throw new ServiceError("INVALID_JSON", "there is no body");
  // Otherwise what is not UTF-8 would quietly become something else.
  if (!isUtf8(body)) throw new ServiceError("INVALID_JSON", "the body is not UTF-8");
  const value = parseJson(body.toString("utf8"));
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new ServiceError("INVALID_JSON", "the body is not a JSON object");
}
