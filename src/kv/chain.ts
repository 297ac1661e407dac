/** What became of all commands, in one digest: states that differ are told apart by it (D4, D5). */
import { ByteWriter } from "../lib/bytes.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Digest } from "./digest.ts";
import { encodeResult, type KvResult } from "./result.ts";

/** How many commands have made a state, and the digest over all of them. */
export interface ChainState {
  readonly commands: number;
  readonly chain: Digest;
}

/** A command that was applied. */
export interface Applied {
  readonly command: Uint8Array;
  /** Cluster time. */
  readonly time: number;
  readonly result: KvResult;
  /** How many keys there are afterwards, and what they account for. */
  readonly liveKeys: number;
  readonly liveBytes: number;
}

/** Equal on all nodes that have applied the same commands, to the same end. */
export class Chain {
  private count: number;
  private readonly digest: Digest;
  private readonly checkpoints = new Checkpoints();

  /** Goes on from here. */
  constructor({ commands, chain }: ChainState) {
    this.count = commands;
    this.digest = chain.copy();
    this.checkpoints.note(commands, chain);
  }

  get commands(): number {
    return this.count;
  }

  get text(): string {
    return this.digest.text;
  }

  /** The digest after so many commands; null: that is too long ago, or yet to come. */
  at(commands: number): string | null {
    return this.checkpoints.at(commands);
  }

  /**
   * The result tells what the command has read: revisions and versions. What it has left behind is
   * told by its size, so that a key too many shows at the next command, whichever it is.
   */
  link({ command, time, result, liveKeys, liveBytes }: Applied): void {
    const { digest } = this;
    digest.number(time);
    digest.bytes(command);
    const out = new ByteWriter();
    encodeResult(out, result);
    digest.bytes(out.finish());
    digest.number(liveKeys);
    digest.number(liveBytes);
    this.count += 1;
    this.checkpoints.note(this.count, digest);
  }

  /** As it is now, whatever is added later. */
  freeze(): ChainState {
    return { commands: this.count, chain: this.digest.copy() };
  }
}
