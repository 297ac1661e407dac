/** Which data directory may be used by whom, and when a new one may be used at all (E15, M13). */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolveConfig } from "../../../src/config.ts";
import {
  clusterIdOf,
  identityFor,
  permissionToStart,
} from "../../../src/program/members/first-start.ts";
import type { Log } from "../../../src/program/log.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import { type NodeDisk, openNodeDisk } from "../../../src/storage/node-disk.ts";

const URLS = { n1: "http://127.0.0.1:5001", n2: "http://127.0.0.1:5002", n3: "http://h:5003" };
const IN_USE_MS = 200;
const VOTERS = ["n1", "n2", "n3"] as NodeId[];

let path = "";
let disk: NodeDisk;
beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), "quorate-first-"));
  disk = await openNodeDisk({
    path,
    fail: (error) => {
      throw error;
    },
  });
});
afterEach(async () => {
  await disk.close();
  rmSync(path, { recursive: true });
});

const errors: string[] = [];
const log = { error: (line: string) => errors.push(line) } as unknown as Log;
const start = { log, signal: new AbortController().signal };

function configOf(name: string, urls: Record<string, string> = URLS) {
  const cluster = Object.entries(urls).map(([id, url]) => `${id}=${url}`);
  const flags = { name, "data-dir": path, "initial-cluster": cluster.join(",") };
  return resolveConfig({ flags, env: {}, file: null });
}

test("the cluster is its members, in whatever order they are listed", () => {
  const idOf = (urls: Record<string, string>) =>
    clusterIdOf(configOf("n1", urls).initialCluster ?? new Map());
  expect(idOf(Object.fromEntries(Object.entries(URLS).reverse()))).toBe(idOf(URLS));
  expect(idOf({ ...URLS, n3: "http://h:5009" })).not.toBe(idOf(URLS));
});

test("M12: who founds alone founds another cluster each time", () => {
  const { n1 } = URLS;
  const alone = () => clusterIdOf(configOf("n1", { n1 }).initialCluster ?? new Map());
  expect(alone()).toMatch(/^[0-9a-f]{16}$/);
  expect(alone()).not.toBe(alone());
});

test("the directory of who founded alone is used with any list that names it alone", async () => {
  const { n1 } = URLS;
  const made = await identityFor(disk, configOf("n1", { n1 }), start);
  expect(await identityFor(disk, configOf("n1", { n1 }), start)).toEqual(made);
  await expect(identityFor(disk, configOf("n1"), start)).rejects.toThrow("another cluster");
});

test("a new directory gets an identity, and keeps it", async () => {
  const made = await identityFor(disk, configOf("n1"), start);
  expect(made).toMatchObject({ id: "n1", joined: false });
  expect(await identityFor(disk, configOf("n1"), start)).toEqual(made);
});

test("another node's directory is refused", async () => {
  await identityFor(disk, configOf("n1"), start);
  await expect(identityFor(disk, configOf("n2"), start)).rejects.toThrow(
    `${path} belongs to node n1, not to n2: give each node a --data-dir of its own`,
  );
});

test("another cluster's directory is refused", async () => {
  await identityFor(disk, configOf("n1"), start);
  const { n1 } = URLS;
  await expect(identityFor(disk, configOf("n1", { n1 }), start)).rejects.toThrow(
    `${path} belongs to another cluster`,
  );
});

test("M12: a directory that was about to join founds nothing", async () => {
  writeFileSync(join(path, "joining.txt"), "some-name\n");
  await expect(identityFor(disk, configOf("n1"), start)).rejects.toThrow(
    "was about to join a cluster: start it with --join again",
  );
});

test("a directory with other files is refused", async () => {
  writeFileSync(join(path, "thesis.pdf"), "");
  await expect(identityFor(disk, configOf("n1"), start)).rejects.toThrow(
    `${path} holds thesis.pdf`,
  );
});

interface Answer {
  readonly knownIncarnation: string | null;
  readonly silentMs: number | null;
}

/** Asks with these answers, one list for each round. The last one stays. */
async function ask(rounds: readonly Record<string, Answer | null>[], signal?: AbortSignal) {
  const identity = await identityFor(disk, configOf("n1"), start);
  const asked = new Map<NodeId, number>();
  let waits = 0;
  const hello = (peer: NodeId) => {
    const round = asked.get(peer) ?? 0;
    asked.set(peer, round + 1);
    return Promise.resolve(rounds[Math.min(round, rounds.length - 1)]?.[peer] ?? null);
  };
  const onWaiting = () => {
    waits += 1;
  };
  const questions = { identity, voters: VOTERS, hello, onWaiting, inUseMs: IN_USE_MS };
  const answer = await permissionToStart(questions, signal ?? new AbortController().signal);
  return { asked, waits, answer };
}

const nothing: Answer = { knownIncarnation: null, silentMs: null };

test("a new directory may be used when enough peers know of no other", async () => {
  const { asked, waits, answer } = await ask([{ n2: nothing, n3: nothing }]);
  expect(answer).toBe("new");
  expect([...asked.keys()]).toEqual(["n2", "n3"]);
  expect(waits).toBe(0);
});

test("until then, the node asks again, and says once that it waits", async () => {
  const { asked, waits } = await ask([{}, { n2: nothing }, { n3: nothing }]);
  expect(asked.get("n2" as NodeId)).toBe(3);
  expect(waits).toBe(1);
});

test("one peer of two is not enough: the other may be the one that knows (M13)", async () => {
  const abort = new AbortController();
  const asking = ask([{ n2: nothing }], abort.signal);
  abort.abort();
  await expect(asking).rejects.toThrow("aborted");
});

const known = (silentMs: number | null): Answer => ({ knownIncarnation: "another", silentMs });

test("one node that knows another directory is enough: that one is lost", async () => {
  const { answer } = await ask([{ n2: nothing, n3: known(null) }]);
  expect(answer).toBe("lost");
});

test("a directory is lost only when nobody has heard of it for a while", async () => {
  const rounds = [5, 50].map((silentMs) => ({ n2: known(silentMs), n3: known(IN_USE_MS) }));
  const { answer, asked } = await ask([...rounds, { n2: known(IN_USE_MS) }]);
  expect(answer).toBe("lost");
  expect(asked.get("n2" as NodeId)).toBe(3);
});

test("a name that is in use is refused", async () => {
  await expect(ask([{ n2: known(5), n3: nothing }])).rejects.toThrow(
    "n1 runs already, with another data directory: choose another --name, or end the other one",
  );
});

test("an identity that is damaged sets all aside, and the node is in doubt", async () => {
  const made = await identityFor(disk, configOf("n1"), start);
  const damaged = readFileSync(join(path, "identity.json"), "utf8").replace("n1", "n2");
  writeFileSync(join(path, "identity.json"), damaged);
  writeFileSync(join(path, "wal-0000000000000001.log"), "whose?");
  const found = await identityFor(disk, configOf("n1"), start);
  expect(found).toMatchObject({ id: "n1", joined: false, since: null });
  expect(found.incarnation).not.toBe(made.incarnation);
  expect(readdirSync(path)).toContain("wal-0000000000000001.log.damaged");
  expect(errors.at(-1)).toMatch(/^identity.json is damaged; set aside/);
});

test("a node that is stopped gives up asking", async () => {
  const abort = new AbortController();
  const asking = ask([{}], abort.signal);
  abort.abort();
  await expect(asking).rejects.toThrow("aborted");
});
