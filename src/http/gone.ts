/** Clients that go away while something is done for them. */
import type { Socket } from "node:net";

/** What is to be called when a connection is closed. */
const calls = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `gone` once when the connection is closed, and soon if it is already, unless the returned
 * function is called before. All requests of a connection share one listener: there may be many.
 */
export function whenGone(socket: Socket, gone: () => void): () => void {
  const waiting = calls.get(socket) ?? listen(socket);
  waiting.add(gone);
  return () => {
    waiting.delete(gone);
  };
}

function listen(socket: Socket): Set<() => void> {
  const waiting = new Set<() => void>();
  const tell = () => {
    calls.delete(socket);
    for (const gone of waiting) gone();
  };
  calls.set(socket, waiting);
  if (socket.closed) queueMicrotask(tell);
  else socket.once("close", tell);
  return waiting;
}
