/** Keys in paths. A key is text, and never a path in a file system: `..` and `//` are keys too. */
import { isUtf8 } from "node:buffer";
import { type Key, keyOf } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";
import { PATH_KEY_BYTES_MAX } from "./limits.ts";
import { pathOf } from "./url.ts";

/** What needs no decoding. */
const PLAIN = /^[!-$&-~]+$/;
const PERCENT = 0x25;

/**
 * The key that the URL names after `prefix`: one slash at the end is not part of it, and escapes
 * are decoded, so that `%2F` is a slash of the key. Throws ServiceError where that is no key.
 */
export function keyFromUrl(url: string, prefix: string): Key {
  const path = pathOf(url);
  if (!path.startsWith(prefix)) throw new ServiceError("ROUTE_NOT_FOUND", "there is no such route");
  const end = path.endsWith("/") && path.length > prefix.length ? path.length - 1 : path.length;
  const text = path.slice(prefix.length, end);
  const key = PLAIN.test(text) ? (text as Key) : keyOf(decoded(text));
  if (key.length === 0) throw new ServiceError("INVALID_KEY", "the key is empty");
  if (key.length > PATH_KEY_BYTES_MAX) {
    const most = `a key in a path has at most ${PATH_KEY_BYTES_MAX} bytes`;
    throw new ServiceError("KEY_TOO_LONG", `${most}, and this one has ${key.length}`);
  }
  return key;
}

/** The bytes of a text with escapes. All other characters of a URL are ASCII. */
function decoded(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== PERCENT) {
      bytes[length++] = code;
      continue;
    }
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9a-f]{2}$/i.test(digits)) throw notText("a % must be followed by two hex digits");
    bytes[length++] = Number.parseInt(digits, 16);
    at += 2;
  }
  const key = bytes.subarray(0, length);
  if (!isUtf8(key)) throw notText("it is not UTF-8");
  return key;
}

function notText(why: string): ServiceError {
  return new ServiceError("INVALID_KEY", `the key in the path cannot be read: ${why}`);
}
