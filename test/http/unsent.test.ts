/** What clients do not take is bounded for all of them together (http-api.md, sections 5 and 7). */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeAll, afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { SMALL_BYTES, Unsent } from "../../src/http/unsent.ts";
import type { Lab } from "../service/lab.ts";
import { failureIn, type RawConnection, Site } from "./site.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("the count", () => {
  const bytes = (size: number) => new Uint8Array(size);

  test("goes up with what is written and down with what is taken, each once", () => {
    const unsent = new Unsent(10 * KIB);
    const releases = [unsent.hold(bytes(4 * KIB)), unsent.hold(bytes(4 * KIB))];
    expect(unsent.bytes).toBe(8 * KIB);
    expect(unsent.hasRoomFor(20 * KIB)).toBe(true);
    releases.push(unsent.hold(bytes(2 * KIB)));
    expect(unsent.hasRoomFor(2 * KIB)).toBe(false);
    for (const release of [...releases, ...releases]) release();
    expect(unsent.bytes).toBe(0);
  });

  test("has the very same bytes once, however many wait for them", () => {
    const unsent = new Unsent(10 * KIB);
    const shared = bytes(6 * KIB);
    const releases = [1, 2, 3].map(() => unsent.hold(shared));
    expect(unsent.bytes).toBe(6 * KIB);
    for (const release of releases.slice(1)) release();
    expect(unsent.bytes).toBe(6 * KIB);
    releases[0]?.();
    expect(unsent.bytes).toBe(0);
  });

  test("has nothing that is small, which is never refused", () => {
    const unsent = new Unsent(10 * KIB);
    unsent.hold(bytes(10 * KIB));
    unsent.hold(bytes(SMALL_BYTES));
    expect(unsent.bytes).toBe(10 * KIB);
    expect([unsent.hasRoom, unsent.hasRoomFor(SMALL_BYTES)]).toEqual([false, true]);
  });

  test("who waits for room is called once, when an eighth is free", () => {
    const unsent = new Unsent(16 * KIB);
    const releases = Array.from({ length: 8 }, () => unsent.hold(bytes(2 * KIB)));
    const [run, forgotten] = [vi.fn<() => void>(), vi.fn<() => void>()];
    for (const each of [run, run, forgotten]) unsent.whenRoom(each);
    unsent.forget(forgotten);
    const more = unsent.hold(bytes(2 * KIB));
    releases[0]?.();
    expect(run).not.toHaveBeenCalled();
    for (const release of [more, ...releases]) release();
    expect(run).toHaveBeenCalledOnce();
    expect(forgotten).not.toHaveBeenCalled();
  });
});

describe("clients that do not read", () => {
  /** Less than one answer or event of a large value, so that a single one leaves no room. */
  const UNSENT_MAX = 4 * MIB;
  /** One byte of these is six of JSON. */
  const large = "\u0001".repeat(MIB);
  const sockets: Socket[] = [];
  let site: Site;
  let lab: Lab;
  const opened: RawConnection[] = [];

  beforeAll(async () => {
    ({ site, lab } = await Site.alone({ limits: { unsentBytesMax: UNSENT_MAX } }));
  });

  beforeEach(async () => {
    for (const name of ["a", "b"]) await put(`large/${name}`, large.slice(0, MIB / 2));
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const connection of opened.splice(0)) connection.destroy();
    await vi.waitFor(async () => expect((await site.askOverTcp("/keys/k/")).status).toBe(200));
  });

  afterAll(async () => {
    await site.close();
    await lab.close();
  });

  function put(key: string, value: string) {
    return site.askOverTcp(`/v1/kv/${key}`, { method: "PUT", body: { value } });
  }

  /** A connection that sends this, and reads nothing. */
  async function deaf(text: string): Promise<void> {
    const socket = connect(await site.listen(), "127.0.0.1");
    socket.on("error", () => {}); // A reset is an end, too.
    sockets.push(socket);
    await once(socket, "connect");
    socket.pause();
    socket.write(text);
  }

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;

  /** More than the buffers of the system take. */
  async function fill(): Promise<void> {
    await deaf(get("/v1/kv?prefix=large/").repeat(64));
    await untilFull();
  }

  async function untilFull(): Promise<void> {
    await vi.waitFor(async () => {
      for (let times = 0; times < 10; times++) {
        expect((await site.askOverTcp("/keys/k/")).status).toBe(503);
      }
    }, 5_000);
  }

  test("reads and lists are refused, and told when to come again (section 7)", async () => {
    await fill();
    for (const path of ["/v1/kv?prefix=large/", "/v1/kv/large/a", "/keys/none/"]) {
      const reply = await site.askOverTcp(path);
      expect(failureIn(reply)).toEqual({ status: 503, code: "OVERLOADED", outcome: "not_applied" });
      expect(reply.headers["retry-after"]).toBe("1");
    }
    const body = { keys: ["large/a"] };
    const batch = await site.askOverTcp("/v1/batch/get", { method: "POST", body });
    expect(failureIn(batch)).toMatchObject({ code: "OVERLOADED" });
    expect((await site.askOverTcp("/livez")).status).toBe(200);
  });

  test("writes go on, and one without room for its answer is unknown (section 7)", async () => {
    await fill();
    expect((await put("k", "v")).status).toBe(201);
    const url = "/v1/kv/large/a?prev=true";
    const reply = await site.askOverTcp(url, { method: "PUT", body: { value: "after" } });
    expect(failureIn(reply)).toMatchObject({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
    for (const socket of sockets.splice(0)) socket.destroy();
    await vi.waitFor(async () => {
      expect((await site.askOverTcp("/keys/large/a/")).text).toBe('{"value":"after"}');
    });
    await site.askOverTcp("/keys/k/", { method: "DELETE" });
  });

  test("watches wait for their turn, and are told everything then (K8)", async () => {
    for (let at = 0; at < 3; at++) await deaf(get(`/v1/watch?prefix=${"held".slice(0, at)}`));
    const { watches } = site.holder.open();
    await vi.waitFor(() => expect(watches.count).toBe(3));
    for (let at = 0; at < 4; at++) await put(`held/${at}`, large);
    await untilFull();
    const reader = await site.connect();
    opened.push(reader);
    reader.send(get("/v1/watch?prefix=watched/&events=put"));
    await reader.until(/event: progress/);
    await put("watched/0", large);
    await put("watched/1", "last");
    // Time enough for many rounds of telling.
    for (let round = 0; round < 50; round++) await site.askOverTcp("/livez");
    expect(await reader.until(/progress/)).not.toContain("event: put");
    for (const socket of sockets.splice(0)) socket.destroy();
    const text = await reader.until(/"key":"watched\/1"/);
    expect(text).toContain('"key":"watched/0"');
    reader.destroy();
    await vi.waitFor(() => expect(watches.count).toBe(0));
  });
});
