/** The addresses that a node listens on: each is its own, or one clear line says why not. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Address } from "./config-values.ts";
import { StartError } from "./lifetime.ts";

/** Begins to answer there. Throws StartError where it cannot; `flag` is how to choose another. */
export async function listen(app: FastifyInstance, address: Address, flag: string): Promise<void> {
  const { host, port } = address;
  await app.listen({ host, port }).catch((cause: unknown) => {
    throw refused(address, { flag, cause });
  });
}

/**
 * Takes the address, and answers nobody there yet: so it is known to be free before anything is
 * done that cannot be undone. Returns how to let go of it. Throws StartError as `listen` does.
 */
export async function reserve(address: Address, flag: string): Promise<() => Promise<void>> {
  const { host, port } = address;
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port });
  await once(server, "listening").catch((cause: unknown) => {
    throw refused(address, { flag, cause });
  });
  return async () => {
    server.close();
    await once(server, "close");
  };
}

function refused(
  { host, port }: Address,
  { flag, cause }: { readonly flag: string; readonly cause: unknown },
): StartError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const what =
    code === "EADDRINUSE"
      ? `port ${port} of ${host} is taken: end what listens there, or choose another ${flag}`
      : `cannot listen on ${host}:${port} (${message}): choose another ${flag}`;
  return new StartError(what, { cause });
}
