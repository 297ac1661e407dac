/** Whatever goes wrong on the way becomes a ServiceError, or else is a bug. */
import { type ErrorCode, ServiceError } from "../service/errors.ts";

/** What Fastify and Node find wrong with a request before any route sees it. */
const KNOWN: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_BAD_URL: ["INVALID_KEY", "the path has an escape that cannot be read"],
  FST_ERR_MAX_PARAM_LENGTH: ["URL_TOO_LONG", "the URL is too long"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["UNSUPPORTED_MEDIA_TYPE", "the content type cannot be read"],
  HPE_INVALID_URL: ["INVALID_KEY", "the URL has characters that must be written as escapes"],
  HPE_HEADER_OVERFLOW: ["HEADERS_TOO_LARGE", "the headers are larger than 16 KiB"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ["VALUE_TOO_LARGE", "the chunk extensions are too large"],
  HPE_INVALID_EOF_STATE: ["INCOMPLETE_BODY", "the request ended before it was complete"],
  ECONNRESET: ["INCOMPLETE_BODY", "the request ended before it was complete"],
  ERR_HTTP_REQUEST_TIMEOUT: ["REQUEST_TIMEOUT", "the request did not arrive in time"],
};

/** The error to answer with; null: this is no fault of the request, but a bug. */
export function asServiceError(error: unknown): ServiceError | null {
  if (error instanceof ServiceError) return error;
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const known = typeof code === "string" ? KNOWN[code] : undefined;
  if (known !== undefined) return new ServiceError(...known);
  if (typeof statusCode !== "number" || statusCode < 400 || statusCode >= 500) return null;
  return new ServiceError("INVALID_REQUEST", (error as Error).message);
}

/** What Node's parser found wrong with what came over a connection. */
export function asParserError(error: NodeJS.ErrnoException): ServiceError {
  const known = KNOWN[error.code ?? ""] ?? ["INVALID_REQUEST", "this is no HTTP request"];
  return new ServiceError(...known);
}
