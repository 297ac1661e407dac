/** What keeps a node from starting, in words for its operator. */

/** The data directory cannot be used as it is. One clear line says why; nothing was changed. */
export class StorageError extends Error {
  override readonly name = "StorageError";
}
