/** What the tests of the client have in common: a cluster for a file, and events as they come. */
import { expect, onTestFinished } from "vitest";
import {
  type ClientOptions,
  QuorateClient,
  QuorateError,
  type WatchEvent,
} from "../../src/client/index.ts";
import { Cluster, type ClusterOptions } from "../integration/cluster.ts";
import { PeerProxy } from "../integration/peer-proxy.ts";
import { freePorts } from "../integration/ports.ts";

/** A cluster, and a client of all its nodes; both end together. */
export async function clusterAndClient(options?: ClusterOptions) {
  const cluster = await Cluster.start(options);
  const client = new QuorateClient({ endpoints: urlsOf(cluster) });
  const end = async () => {
    await client.close();
    await cluster[Symbol.asyncDispose]();
  };
  return { cluster, client, end };
}

/** A client that is closed when the test ends. */
export function clientOf(options: ClientOptions): QuorateClient {
  const client = new QuorateClient(options);
  onTestFinished(() => client.close());
  return client;
}

/** A way to a node that can fail. It is closed when the test ends. */
export async function behindProxy(member: Cluster["members"][number] | undefined) {
  const proxy = new PeerProxy(Number(new URL(member?.url ?? "").port));
  onTestFinished(() => proxy.close());
  return { proxy, endpoint: `http://127.0.0.1:${await proxy.listen()}` };
}

export function urlsOf(cluster: Cluster): string[] {
  return cluster.members.map(({ url }) => url);
}

/** URLs that nobody listens on. */
export async function deadUrls(count: number): Promise<string[]> {
  return (await freePorts(count)).map((port) => `http://127.0.0.1:${port}`);
}

/** The QuorateError that it rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<QuorateError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(QuorateError);
  return error as QuorateError;
}

/** The next so many events, without those of progress. */
export async function take(events: AsyncIterator<WatchEvent>, count: number) {
  const found: WatchEvent[] = [];
  while (found.length < count) {
    const next = await events.next();
    if (next.done === true) throw new Error("the watch has ended");
    if (next.value.type !== "progress") found.push(next.value);
  }
  return found;
}

/** Waits until the watch has begun, and says from where on. */
export async function begun(events: AsyncIterator<WatchEvent>): Promise<number> {
  const next = await events.next();
  expect(next.value).toMatchObject({ type: "progress" });
  return (next.value as WatchEvent).revision;
}
