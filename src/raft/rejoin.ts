/** What the entry of kind `rejoin` says: a node that has lost its log asks to count again. */
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import { isNodeId, type NodeId } from "./types.ts";

/** Who asks. */
export interface Rejoin {
  readonly id: NodeId;
  /** A name that the node never had before the loss. */
  readonly incarnation: string;
}

export function encodeRejoin({ id, incarnation }: Rejoin): Uint8Array {
  const out = new ByteWriter();
  out.sizedString(id);
  out.sizedString(incarnation);
  return out.finish();
}

/** Throws MalformedError. */
export function decodeRejoin(bytes: Uint8Array): Rejoin {
  const reader = new ByteReader(bytes);
  const id = reader.sizedString();
  const incarnation = reader.sizedString();
  reader.end();
  if (!isNodeId(id)) throw new MalformedError("a rejoin names no node");
  return { id, incarnation };
}
