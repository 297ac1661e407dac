/** Closing a listener without cutting off those who are being served. */
import type { FastifyInstance } from "fastify";

/** Closes the listener, in good order. */
export type Drain = (timeoutMs: number) => Promise<void>;

/**
 * Watches the listener from now on. The returned function takes no new connections, waits for the
 * requests under way, but no longer than `timeoutMs`, and closes all connections. It does not wait
 * for connections without a request, which may stay so for long.
 */
export function drainable(app: FastifyInstance): Drain {
  let underWay = 0;
  let onIdle = () => {};
  app.server.on("request", (_request, response) => {
    underWay += 1;
    response.once("close", () => {
      underWay -= 1;
      if (underWay === 0) onIdle();
    });
  });
  return async (timeoutMs) => {
    const closed = app.close();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
      if (underWay === 0) onIdle();
    });
    app.server.closeAllConnections();
    await closed;
  };
}
