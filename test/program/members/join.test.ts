/** A node that joins asks one member after another, and none in vain for ever. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolveConfig } from "../../../src/config.ts";
import { joinCluster } from "../../../src/program/members/join.ts";
import { StartError } from "../../../src/program/lifetime.ts";
import type { Log } from "../../../src/program/log.ts";
import { type NodeDisk, openNodeDisk } from "../../../src/storage/node-disk.ts";
import { Site } from "../../http/site.ts";

const said: string[] = [];
const tell = (line: string) => said.push(line);
const log = { info: tell, debug: tell, warn: tell } as unknown as Log;

let path = "";
let disk: NodeDisk;
const ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  said.length = 0;
  path = mkdtempSync(join(tmpdir(), "quorate-join-"));
  disk = await openNodeDisk({
    path,
    fail: (error) => {
      throw error;
    },
  });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await disk.close();
  rmSync(path, { recursive: true });
});

/** The client URL of a node that was removed. */
async function removed(): Promise<string> {
  const site = new Site("n9");
  ends.push(() => site.close());
  site.holder.remove("this node was removed from the cluster: stop it");
  return `http://127.0.0.1:${await site.listen()}`;
}

async function member(): Promise<string> {
  const { site, lab } = await Site.alone();
  ends.push(
    () => lab.close(),
    () => site.close(),
  );
  return `http://127.0.0.1:${await site.listen()}`;
}

function joinBy(...urls: readonly string[]) {
  const flags = { name: "n4", "data-dir": path, join: urls.join(",") };
  const config = resolveConfig({ flags, env: {}, file: null });
  return joinCluster(disk, config, { log, signal: AbortSignal.timeout(10_000) });
}

test("who was removed is passed over, and the next one asked", async () => {
  const gone = await removed();
  const identity = await joinBy(gone, await member());
  expect(identity).toMatchObject({ cluster: "test", id: "n4", joined: false });
  expect(identity.bootstrap.learners).toEqual(["n4"]);
  expect(said).toEqual([
    `asking ${gone} to join: this node was removed from the cluster: stop it; trying again`,
  ]);
});

test("where all were removed there is nobody to ask, and it ends", async () => {
  const urls = [await removed(), await removed()];
  await expect(joinBy(...urls)).rejects.toThrow(
    new StartError(
      `${urls.join(", ")} were all removed from the cluster: name a member of it by --join`,
    ),
  );
});

test("so it does where one is known, and that one was removed", async () => {
  const url = await removed();
  await expect(joinBy(url)).rejects.toThrow(
    new StartError(`${url} was removed from the cluster: name a member of it by --join`),
  );
});
