/** A node that is cut off from the others, as those see it who watch through it (K9). */
import { expect, onTestFinished, test } from "vitest";
import { Cluster } from "../integration/cluster.ts";
import { begun, clientOf, take } from "./faces.ts";

test("a watch leaves a node that is cut off, and misses nothing", async () => {
  const cluster = await Cluster.start({ partitionable: true });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const [lonely, other] = await cluster.followers();
  if (lonely === undefined || other === undefined) throw new Error("no followers");
  const client = clientOf({ endpoints: [lonely.url, other.url] });
  const writer = clientOf({ endpoints: [other.url] });
  const events = client.watch({ prefix: "k" });
  await begun(events);
  await writer.put("k/1", "before");
  expect(await take(events, 1)).toMatchObject([{ key: "k/1" }]);

  cluster.isolate(lonely);
  await writer.put("k/2", "meanwhile");
  expect(await take(events, 1)).toMatchObject([{ key: "k/2", value: "meanwhile" }]);
}, 60_000);
