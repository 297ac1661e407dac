/** What keeps a node from starting, in words for its operator. */

/** The data directory cannot be used as it is. One clear line says why; nothing was changed. */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
}

/**
 * Something is missing or damaged that may have been promised to others. Alone this node can do
 * nothing about it; with the others' help it can (src/node/repair.ts).
 */
export class DamageError extends StorageError {
  override readonly name = "DamageError";
}
