/** Work in a data directory while no node runs there. */
import { type NodeDisk, openNodeDisk } from "../../storage/node-disk.ts";
import { StorageError } from "../../storage/storage-error.ts";

/**
 * Does the work with the directory locked, and made if there is none. Rejects with StorageError
 * where a node uses it, and where the disk fails.
 */
export async function withDisk<Result>(
  path: string,
  work: (disk: NodeDisk) => Promise<Result>,
): Promise<Result> {
  const failure = Promise.withResolvers<never>();
  const fail = (error: Error, what: string) => {
    failure.reject(new StorageError(what, { cause: error }));
  };
  const disk = await openNodeDisk({ path, fail });
  try {
    // After a failure no step of the work ever ends.
    return await Promise.race([work(disk), failure.promise]);
  } finally {
    await disk.close();
  }
}

/** Resolves when `step` calls `done`. */
export function durable(step: (done: () => void) => void): Promise<void> {
  return new Promise(step);
}
