/** A process of its own: a peer server whose handler has a bug, and one request that finds it. */
import { assert } from "../../src/lib/assert.ts";
import { heartbeatOf, n2 } from "./arbitrary.ts";
import { Lab } from "./peers.ts";

const broken = process.argv[2] ?? "";
const lab = new Lab();
const fail = (): never => {
  assert(false, `${broken} is broken`);
  throw new Error("never");
};
const server = await lab.server({ handlers: { [broken]: fail } });
const { transport } = lab.transport();
transport.setPeers(new Map([[n2, server.url]]));
transport.send(n2, [heartbeatOf(1, 1)]);
// If the process survives its bug, it ends well, and the test fails.
await transport.calls.forward(n2, [Uint8Array.of(1)], 2000);
await transport.calls.readIndex(n2, 2000);
await lab.close();
