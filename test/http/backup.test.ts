/** Backup, hash and snapshot by hand (http-api.md, section 2). */
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { BACKUPS_MAX } from "../../src/service/backups.ts";
import { contentOf, isWhole, type Views, watchViews } from "../service/frozen.ts";
import { keyFor, Lab, type LabNode } from "../service/lab.ts";
import { errorIn, failureIn, Site } from "./site.ts";

const BACKUP = "/v1/admin/backup";
const HASH = "/v1/admin/hash";
const MIB = 1024 * 1024;

let site: Site;
let lab: Lab;
let node: LabNode;
let views: Views;

async function start(): Promise<void> {
  ({ site, lab, node } = await Site.alone());
  views = watchViews(node.store);
}

async function put(key: string, value: string): Promise<number> {
  const reply = await site.ask(`/v1/kv/${key}`, { method: "PUT", body: { value } });
  expect(reply.status).toBeLessThan(300);
  return Number(reply.headers["quorate-revision"]);
}

/** More than sockets hold by themselves. */
async function fill(mebibytes: number): Promise<void> {
  for (let at = 0; at < mebibytes; at++) await put(`large/${at}`, "x".repeat(MIB - 1));
}

/** A client that has asked for a backup, and reads nothing of it until it is resumed. */
async function deaf(): Promise<Socket> {
  const socket = connect(await site.listen(), "127.0.0.1");
  socket.on("error", () => {}); // A reset is an end, too.
  socket.pause();
  socket.write(`GET ${BACKUP} HTTP/1.1\r\nhost: x\r\n\r\n`);
  return socket;
}

afterEach(async () => {
  await site.close();
  await lab.close();
});

describe("a backup", () => {
  test("is the state at one revision, with all that belongs to it, and says which", async () => {
    await start();
    await put("a", "1");
    await site.ask("/v1/kv/b", { method: "PUT", body: { value: "2", ttl: 60 } });
    const request = { method: "POST", headers: { "idempotency-key": "c" }, body: {} } as const;
    const counted = await site.ask("/v1/kv/c/increment", request);
    expect(counted.status).toBe(200);
    await put("a", "3");
    await site.ask("/v1/admin/compact", { method: "POST", body: { revision: 3 } });
    const { status, headers, bytes } = await site.ask(BACKUP);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": 'attachment; filename="quorate-5.backup"',
      "quorate-revision": "5",
      "quorate-store-revision": "5",
      "quorate-consistency": "linearizable",
    });
    const { meta, store } = contentOf(bytes);
    expect(store.digest).toBe(node.store.digest);
    expect([store.revision, store.compactRevision, store.liveKeys]).toEqual([5, 3, 3]);
    const { lease } = node.store.get(keyFor("b")) ?? {};
    expect(store.anyLease(lease ?? 0)).toEqual(node.store.anyLease(lease ?? 0));
    expect(meta.time).toBeLessThanOrEqual(node.node.status().clusterTime);
    await vi.waitFor(() => expect(views).toEqual({ open: 0, most: 1 }));
  });

  test("is not whole where any byte of it is another, or the end is missing", async () => {
    await start();
    await put("a", "1");
    const { bytes } = await site.ask(BACKUP);
    expect(isWhole(bytes)).toBe(true);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 4;
      expect(isWhole(damaged), `byte ${at}`).toBe(false);
      expect(isWhole(bytes.subarray(0, at)), `the first ${at} bytes`).toBe(false);
    }
    expect(isWhole(Uint8Array.of(...bytes, 0))).toBe(false);
  });

  test("comes over a network while others write, and has none of that", async () => {
    await start();
    await fill(8);
    const url = `http://127.0.0.1:${await site.listen()}${BACKUP}`;
    const response = await fetch(url);
    const revision = Number(response.headers.get("quorate-revision"));
    await put("later", "1");
    const { store } = contentOf(new Uint8Array(await response.arrayBuffer()));
    expect(store.revision).toBe(revision);
    expect(store.get(keyFor("later"))).toBe(null);
    expect(store.liveKeys).toBe(8);
    expect(views.open).toBe(0);
  });

  test("waits for a client that does not read, and leaves the turns to others", async () => {
    await start();
    await fill(24);
    let made = 0;
    let inRound = 0;
    let inRoundMost = 0;
    const freeze = node.store.freeze.bind(node.store);
    node.store.freeze = () => {
      const view = freeze();
      const chunks = function* () {
        const all = view.chunks();
        for (let next = all.next(); next.done !== true; next = all.next()) {
          made += next.value.length;
          inRound += 1;
          inRoundMost = Math.max(inRoundMost, inRound);
          yield next.value;
        }
      };
      return { chunks, release: () => view.release() };
    };
    let isOver = false;
    const beginRound = () => {
      inRound = 0;
      if (!isOver) setImmediate(beginRound);
    };
    beginRound();
    const connection = await deaf();
    let before = -1;
    await vi.waitFor(
      () => {
        const stands = made === before && made > 0;
        before = made;
        expect(stands).toBe(true);
      },
      { timeout: 10_000, interval: 200 },
    );
    // What is under way is in sockets, and in what streams hold ahead.
    expect(made).toBeLessThan(16 * MIB);
    expect(views.open).toBe(1);
    connection.resume();
    await vi.waitFor(() => expect(views.open).toBe(0), 10_000);
    isOver = true;
    expect(made).toBeGreaterThan(24 * MIB);
    // Everybody else has a turn between two of them, of which some come before and some behind.
    expect(inRoundMost).toBeLessThanOrEqual(2);
    connection.destroy();
  });

  test("is given up, and its view released, when the client goes", async () => {
    await start();
    await fill(24);
    const connection = await deaf();
    await vi.waitFor(() => expect(views.open).toBe(1));
    connection.destroy();
    await vi.waitFor(() => expect(views.open).toBe(0));
    expect((await site.ask("/livez")).status).toBe(200);
  });

  test("is given up, and its view released, when the node stops", async () => {
    await start();
    await fill(24);
    const connection = await deaf();
    await vi.waitFor(() => expect(views.open).toBe(1));
    site.holder.stop();
    site.app.server.closeAllConnections();
    await vi.waitFor(() => expect(views.open).toBe(0));
    expect(failureIn(await site.ask(BACKUP))).toMatchObject({ code: "SHUTTING_DOWN" });
    connection.destroy();
  });

  test("of which there are as many as may be: 503 OVERLOADED, which says what to do", async () => {
    await start();
    await fill(24);
    const connections = [];
    for (let count = 0; count < BACKUPS_MAX; count++) connections.push(await deaf());
    await vi.waitFor(() => expect(views.open).toBe(BACKUPS_MAX));
    const reply = await site.ask(BACKUP);
    expect(failureIn(reply)).toEqual({ status: 503, code: "OVERLOADED", outcome: "not_applied" });
    expect(reply.headers["retry-after"]).toBe("1");
    expect(errorIn(reply).error).toMatch(/ask another node/);
    for (const connection of connections) connection.destroy();
    await vi.waitFor(() => expect(views.open).toBe(0));
    const small = await site.ask(BACKUP);
    expect(small.status).toBe(200);
  });
});

describe("the hash", () => {
  test("is of now or of a revision of the past, and the same of every node", async () => {
    await start();
    const three = await Lab.start(["n1", "n2", "n3"]);
    const leader = await three.leader();
    const sites = three.nodes.map(({ id, service }) => {
      const one = new Site(id);
      one.holder.serve(service);
      return one;
    });
    const ask = async (query = "") => {
      const replies = await Promise.all(sites.map((one) => one.ask(`${HASH}${query}`)));
      expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
      const bodies = new Set(replies.map(({ text }) => text));
      expect(bodies.size).toBe(1);
      return JSON.parse([...bodies][0] ?? "") as Record<string, unknown>;
    };
    const behind = sites[three.nodes.indexOf(leader)];
    await behind?.ask("/v1/kv/a", { method: "PUT", body: { value: "1" } });
    const before = await ask();
    expect(before).toMatchObject({ revision: 2, compact_revision: 0 });
    await behind?.ask("/v1/kv/a", { method: "PUT", body: { value: "2" } });
    const after = await ask();
    expect(after["revision"]).toBe(3);
    expect(after["hash"]).not.toBe(before["hash"]);
    expect(await ask("?revision=2")).toEqual(before);
    for (const one of sites) await one.close();
    await three.close();
  });

  test("of a revision that is forgotten is a 410, and of one to come a 400", async () => {
    await start();
    await put("a", "1");
    await put("a", "2");
    await site.ask("/v1/admin/compact", { method: "POST", body: { revision: 3 } });
    const gone = await site.ask(`${HASH}?revision=2`);
    expect(failureIn(gone)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
    expect(errorIn(gone).details).toEqual({ oldest: 3, current: 3 });
    const later = await site.ask(`${HASH}?revision=4`);
    expect(failureIn(later)).toMatchObject({ status: 400, code: "REVISION_IN_FUTURE" });
    const now = JSON.parse((await site.ask(`${HASH}?revision=3`)).text) as object;
    expect(now).toMatchObject({ revision: 3, compact_revision: 3 });
  });
});

describe("a snapshot by hand", () => {
  test("says how far it reaches, and how long it is", async () => {
    await start();
    await put("a", "1");
    const { applied } = node.node.status();
    const reply = await site.ask("/v1/admin/snapshot", { method: "POST" });
    expect(reply.status).toBe(200);
    const { index, bytes } = JSON.parse(reply.text) as Record<string, number>;
    expect(index).toBeGreaterThanOrEqual(applied);
    expect(bytes).toBeGreaterThan(100);
  });

  test("needs no leader", async () => {
    await start();
    const three = await Lab.start(["n1", "n2", "n3"]);
    const follower = await three.follower();
    three.cut(follower.id);
    const own = new Site(follower.id);
    own.holder.serve(follower.service);
    expect((await own.ask("/v1/admin/snapshot", { method: "POST" })).status).toBe(200);
    await own.close();
    await three.close();
  });
});
