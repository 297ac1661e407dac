/** `GET /v1/admin/backup`: the whole state at one revision, as a stream of bytes. */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextRound } from "node:timers/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Backup } from "../service/backups.ts";
import { leading, type RouteDeps } from "./data-routes.ts";
import { refuseConditions } from "./list-routes.ts";
import { queryReader } from "./query.ts";
import { readOptions, readParams, refuseEvents } from "./request-options.ts";
import { readHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

export const backupQuery = queryReader(readParams);

/** Adds the route. */
export function addBackupRoute(app: FastifyInstance, deps: RouteDeps): void {
  // HEAD would be a stream without a body.
  app.get("/v1/admin/backup", { exposeHeadRoute: false }, (request, reply) => {
    return backUp(deps, request, reply);
  });
}

async function backUp(
  { holder, responder }: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const service = holder.open();
  const asked = readOptions(request.headers, backupQuery(urlOf(request)));
  refuseConditions(request);
  refuseEvents(request.headers);
  const options = await leading(service, request, asked);
  const backup = await service.backup(options);
  try {
    const { revision } = backup;
    const response = responder.begin(request, reply, {
      status: 200,
      headers: {
        ...readHeaders({ ...backup, storeRevision: revision }),
        "quorate-revision": String(revision),
        "content-type": "application/octet-stream",
        "content-disposition": `attachment; filename="quorate-${revision}.backup"`,
      },
    });
    await send(backup, response);
  } finally {
    backup.end();
  }
  return reply;
}

/** Sends all of it, as fast as the client takes it, unless the connection ends before. */
async function send(backup: Backup, response: ServerResponse): Promise<void> {
  try {
    await pipeline(Readable.from(inRounds(backup), { objectMode: false }), response);
  } catch (error) {
    if (!isCutOff(error)) throw error;
  }
}

/** The client knows by itself that it has not got all: the end is missing. */
function isCutOff(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECONNRESET" || code === "EPIPE";
}

/** Between two pieces everybody else has a turn. */
async function* inRounds(backup: Backup): AsyncGenerator<Uint8Array> {
  const pieces = backup.pieces();
  for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
    if (next.value.length > 0) yield next.value;
    await nextRound();
  }
}
