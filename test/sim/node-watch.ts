/** What must hold of each node by itself, and from one of its events to the next. */
import { assert } from "../../src/lib/assert.ts";
import { captureState, checkBasic, checkDelta, type NodeState } from "../../src/raft/invariants.ts";
import type { NodeId } from "../../src/raft/types.ts";
import type { SimNode } from "./sim-node.ts";

/** Remembers each node's state after its last event, for as long as that process lives. */
export class NodeWatch {
  private readonly states = new Map<NodeId, { generation: number; state: NodeState }>();

  /** Throws AssertionError, with the node's name, where its core breaks an invariant. */
  check({ id, generation, life }: SimNode): void {
    assert(life !== null, "it runs");
    const before = this.states.get(id);
    try {
      checkBasic(life.raft);
      if (before?.generation === generation) checkDelta(before.state, life.raft);
    } catch (cause) {
      throw new Error(`${id}: ${(cause as Error).message}`, { cause });
    }
    this.states.set(id, { generation, state: captureState(life.raft) });
  }
}
