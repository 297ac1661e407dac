/** Reads by the leader's lease (http-api.md, section 4; reliability: R6, R7). */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Lab, type LabNode } from "../service/lab.ts";
import { failureIn, type Reply, Site } from "./site.ts";

/** Less than the election timeout of the lab. */
const LEASE_MS = 200;

let lab: Lab;
const sites: Site[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
  await lab.close();
});

function siteOf(node: LabNode): Site {
  const site = new Site(node.id);
  site.holder.serve(node.service);
  sites.push(site);
  return site;
}

async function start(leaseMs: number): Promise<{ leader: Site; follower: Site; node: LabNode }> {
  lab = await Lab.start(["n1", "n2", "n3"], { leaseMs });
  const node = await lab.leader();
  const leader = siteOf(node);
  await leader.ask("/keys/k/", { method: "PUT", body: { value: "v" } });
  return { leader, follower: siteOf(await lab.follower()), node };
}

const PATHS = ["/keys/k/", "/v1/kv/k", "/v1/kv?prefix=k", "/v1/kv?prefix=k&count_only"];

function leased(site: Site, path = "/keys/k/", timeout = "1s"): Promise<Reply> {
  const sign = path.includes("?") ? "&" : "?";
  return site.ask(`${path}${sign}consistency=lease&timeout=${timeout}`);
}

/**
 * What comes of `ask` while the leader has a lease, and nobody can confirm that it leads. A lease
 * is short for a busy machine, so it may take several.
 */
async function alone(leader: Site, ask: () => Promise<readonly Reply[]>, expected: string) {
  await vi.waitFor(
    async () => {
      lab.isLost = () => false;
      expect(modeOf(await leased(leader))).toBe("200 lease");
      lab.isLost = ({ type }) => type === "heard";
      const replies = await ask();
      expect([...new Set(replies.map(modeOf))]).toEqual([expected]);
    },
    { timeout: 5_000 },
  );
}

/** How the reads were answered. */
function modeOf({ status, headers }: Reply): string {
  return `${status} ${headers["quorate-consistency"] ?? ""}`;
}

describe("with a lease", () => {
  test("the leader answers by itself, and says so", async () => {
    const { leader } = await start(LEASE_MS);
    const batch = { method: "POST", body: { keys: ["k"] } } as const;
    const ask = () =>
      Promise.all([
        ...PATHS.map((path) => leased(leader, path)),
        leader.ask("/v1/batch/get?consistency=lease", batch),
      ]);
    await alone(leader, ask, "200 lease");
    const asked = await leader.ask("/keys/k/?timeout=30ms");
    expect(failureIn(asked)).toMatchObject({ status: 504, code: "READ_TIMEOUT" });
  });

  test("another node asks the leader, whose lease will do", async () => {
    const { leader, follower } = await start(LEASE_MS);
    const ask = async () => {
      lab.calls.length = 0;
      return [await leased(follower)];
    };
    await alone(leader, ask, "200 lease");
    expect(lab.calls.map(({ type }) => type)).toEqual(["readIndex"]);
  });

  test("a linearizable read still asks a quorum, also beside one by lease", async () => {
    const { leader, follower } = await start(LEASE_MS);
    await vi.waitFor(async () => expect(modeOf(await leased(leader))).toBe("200 lease"));
    const [byLease, plain] = await Promise.all([leased(leader), leader.ask("/keys/k/")]);
    expect([byLease, plain].map(modeOf)).toEqual(["200 lease", "200 linearizable"]);
    // Both share one call to the leader, which asks a quorum for both.
    const both = await Promise.all([leased(follower), follower.ask("/keys/k/")]);
    expect(both.map(modeOf)).toEqual(["200 linearizable", "200 linearizable"]);
  });

  test("R6: it ends, and then nothing is answered by it", async () => {
    const { leader } = await start(LEASE_MS);
    await vi.waitFor(async () => expect(modeOf(await leased(leader))).toBe("200 lease"));
    lab.isLost = ({ type }) => type === "heard" || type === "heartbeat";
    const end = performance.now() + 2 * LEASE_MS;
    await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(end), { timeout: 5_000 });
    const late = await leased(leader, "/keys/k/", "50ms");
    expect([503, 504]).toContain(late.status);
  });

  test("R7: a leader that hands over answers by it no more", async () => {
    const { leader, node } = await start(LEASE_MS);
    await vi.waitFor(async () => expect(modeOf(await leased(leader))).toBe("200 lease"));
    // The one that is told to stand does not hear of it: leadership stays for a while.
    lab.isLost = ({ type }) => type === "timeoutNow";
    node.node.transfer(null, () => {});
    const read = await leased(leader);
    expect(modeOf(read)).toBe("200 linearizable");
  });
});

test("without one, consistency=lease is answered as linearizable, and says so", async () => {
  const { leader, follower } = await start(0);
  for (const site of [leader, follower]) {
    for (const path of PATHS) expect(modeOf(await leased(site, path))).toBe("200 linearizable");
  }
});

test("max_stale is for stale reads only", async () => {
  const { leader } = await start(0);
  const reply = await leader.ask("/keys/k/?consistency=lease&max_stale=1s");
  expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
});
