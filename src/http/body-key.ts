/** Keys as bodies name them: as text, or as bytes in base64. */
import { type Key, KEY_BYTES_MAX, keyOf } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";

/** How a text stands for the bytes of a key. */
export type KeyEncoding = "utf8" | "base64";

/** A key that can be stored. Throws ServiceError where it is none. */
export function bodyKey(text: string, encoding: KeyEncoding): Key {
  const key = bodyPrefix(text, encoding);
  if (key.length > 0) return key;
  throw new ServiceError("INVALID_KEY", "a key is empty");
}

/** What keys begin with: as a key, but it may be empty. Throws ServiceError. */
export function bodyPrefix(text: string, encoding: KeyEncoding): Key {
  // Otherwise it would quietly become another key.
  if (!text.isWellFormed()) {
    throw new ServiceError("INVALID_KEY", "a key has half of a surrogate pair: it is not text");
  }
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== text) {
    throw new ServiceError("INVALID_KEY", "a key is not the base64 that it is said to be");
  }
  if (bytes.length <= KEY_BYTES_MAX) return keyOf(bytes);
  const most = `a key has at most ${KEY_BYTES_MAX} bytes`;
  throw new ServiceError("KEY_TOO_LONG", `${most}, and one has ${bytes.length}`);
}
