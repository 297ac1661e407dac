/**
 * One process a data directory.
 *
 * Each process listens on a Unix socket of its own in the directory, and only then tries to connect
 * to every other one there. Whoever gets through to another gives up, so of two that start together
 * at most one goes on: the later of the two to listen finds the earlier. The kernel ends the
 * listening with the process, however that dies, so nothing is left stale; a socket that refuses is
 * a dead one's and is removed, which is safe as no name is used twice. A socket is found through
 * its file, so this also holds between containers that share a volume (a process id would not: it
 * means nothing in another container). It does not hold between two machines.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { StorageError } from "./storage-error.ts";

/** Gives the directory free again. */
export type Unlock = () => Promise<void>;

const LOCK_NAME = /^lock-(\d+)-[0-9a-f]{12}\.sock$/;

/**
 * Locks a directory for this process; a second lock in the same process is refused too. Throws
 * StorageError where another process has it.
 */
export async function lockDirectory(path: string): Promise<Unlock> {
  const directory = openSync(path, "r");
  // The path of a socket may have 108 bytes at most, so Linux is given a short one.
  const near = process.platform === "linux" ? `/proc/self/fd/${directory}` : path;
  const own = `lock-${process.pid}-${randomBytes(6).toString("hex")}.sock`;
  const server = createServer((socket) => socket.destroy());
  const unlock = async () => {
    await close(server);
    closeSync(directory);
  };
  try {
    await listen(server, join(near, own));
  } catch (error) {
    closeSync(directory);
    throw new StorageError(`cannot lock ${path}: no socket can be made in it`, { cause: error });
  }
  server.unref();
  for (const name of readdirSync(path)) {
    const pid = LOCK_NAME.exec(name)?.[1];
    if (pid === undefined || name === own) continue;
    if (await isListening(join(near, name))) {
      await unlock();
      throw new StorageError(`${path} is in use by process ${pid}`);
    }
    rmSync(join(path, name), { force: true });
  }
  return unlock;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Any trouble but a refusal counts as a sign of life. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
