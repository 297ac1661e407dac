/**
 * Nodes are alike: what can happen to one can happen to each. So of all states that differ only in
 * the nodes' names, one stands for all.
 */
import type { NodeId } from "../../src/raft/types.ts";
import { type NodeModel, NODES, type NodeState } from "./node-model.ts";
import type { Interner } from "./state-table.ts";
import type { Witness } from "./witness.ts";

/** Node `i` becomes node `permutation[i]`. */
export type Permutation = readonly number[];

export const PERMUTATIONS: readonly Permutation[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

/** A state: three nodes, then the network and the witness, by their numbers. */
export type Row = readonly [number, number, number, number, number];

export class Symmetry {
  private readonly model: NodeModel;
  private readonly nets: Interner<readonly number[]>;
  private readonly witnesses: Interner<Witness>;
  private readonly names = PERMUTATIONS.map((permutation) => {
    return new Map(NODES.map((id, i) => [id, NODES[permutation[i] as number] as NodeId]));
  });
  /** For each permutation, what becomes of each node state, network and witness. */
  private readonly nodeImages: number[][] = PERMUTATIONS.map(() => []);
  private readonly netImages: number[][] = PERMUTATIONS.map(() => []);
  private readonly witnessImages: number[][] = PERMUTATIONS.map(() => []);
  private readonly messageImages: number[][] = PERMUTATIONS.map(() => []);

  constructor(model: NodeModel, nets: Interner<readonly number[]>, witnesses: Interner<Witness>) {
    this.model = model;
    this.nets = nets;
    this.witnesses = witnesses;
  }

  /** The state that stands for `row`, and the number of the permutation that leads to it. */
  canonical(row: Row): { readonly row: Row; readonly permutation: number } {
    let best = row;
    let by = 0;
    for (let p = 1; p < PERMUTATIONS.length; p++) {
      const image = this.image(row, p, best);
      if (image === null) continue;
      best = image;
      by = p;
    }
    return { row: best, permutation: by };
  }

  /** The image of `row`, or null where it does not come before `best`. */
  private image(row: Row, p: number, best: Row): Row | null {
    const permutation = PERMUTATIONS[p] as Permutation;
    const image: [number, number, number, number, number] = [0, 0, 0, 0, 0];
    for (let i = 0; i < NODES.length; i++) {
      image[permutation[i] as number] = this.nodeImage(row[i] as number, p);
    }
    const order = image[0] - best[0] || image[1] - best[1] || image[2] - best[2];
    if (order > 0) return null;
    image[3] = this.netImage(row[3], p);
    image[4] = this.witnessImage(row[4], p);
    return order < 0 || (image[3] - best[3] || image[4] - best[4]) < 0 ? image : null;
  }

  private nodeImage(id: number, p: number): number {
    const images = this.nodeImages[p] as number[];
    return (images[id] ??= this.model.renamed(
      this.model.states[id] as NodeState,
      this.names[p] as Map<NodeId, NodeId>,
    ).id);
  }

  private messageImage(id: number, p: number): number {
    const images = this.messageImages[p] as number[];
    return (images[id] ??= this.model.renamedMessage(id, this.names[p] as Map<NodeId, NodeId>));
  }

  private netImage(id: number, p: number): number {
    const images = this.netImages[p] as number[];
    const known = images[id];
    if (known !== undefined) return known;
    const net = (this.nets.values[id] as readonly number[]).map((m) => this.messageImage(m, p));
    net.sort((a, b) => a - b);
    return (images[id] = this.nets.intern(net.join(), net));
  }

  private witnessImage(id: number, p: number): number {
    const images = this.witnessImages[p] as number[];
    const known = images[id];
    if (known !== undefined) return known;
    const witness = this.witnesses.values[id] as Witness;
    const leaders = witness.leaders.map((at) => (at < 0 ? at : (PERMUTATIONS[p]?.[at] ?? at)));
    const image = { ...witness, leaders };
    return (images[id] = this.witnesses.intern(JSON.stringify(image), image));
  }
}
