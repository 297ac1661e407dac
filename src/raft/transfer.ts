/** Handing leadership over without the silence that an election waits for (§3.10 of the thesis). */
import type { Core, Role } from "./core.ts";
import type { Millis, NodeId } from "./types.ts";

type Leader = Extract<Role, { kind: "leader" }>;

/** `no_target`: whoever should lead is no voter, is not heard, or is too far behind. */
export type TransferRefusal = "not_leader" | "in_progress" | "no_target";

/**
 * Begins to hand over to `target`; null: to whoever has most of the log. Returns who it is: this
 * node itself where there is nothing to do. It takes an election timeout at most, and can fail.
 */
export function startTransfer(
  core: Core,
  target: NodeId | null,
): { readonly target: NodeId } | TransferRefusal {
  const { role } = core;
  if (role.kind !== "leader") return "not_leader";
  if (target === core.id) return role.transfer === null ? { target } : "in_progress";
  const chosen = target ?? furthest(core, role);
  if (chosen === null || !isFit(core, role, chosen)) return "no_target";
  if (role.transfer !== null) {
    return role.transfer.target === chosen ? { target: chosen } : "in_progress";
  }
  const until = (core.now + core.options.electionMs) as Millis;
  role.transfer = { target: chosen, until, askAt: core.now };
  dropLease(role);
  return { target: chosen };
}

/** Looks at the deadline: whatever was asked meanwhile may still be heard, and cost a term. */
export function onTransferTick(core: Core, leader: Leader): void {
  const { transfer } = leader;
  if (transfer === null) return;
  if (core.now >= transfer.until) leader.transfer = null;
}

/** Asks the target to stand as soon as it has everything: with less it could not win. */
export function transferDrain(core: Core, leader: Leader): void {
  const { transfer } = leader;
  if (transfer === null || core.now < transfer.askAt) return;
  const progress = leader.progress.get(transfer.target);
  if (progress === undefined || progress.promised < core.log.lastIndex) return;
  transfer.askAt = (core.now + core.options.heartbeatMs) as Millis;
  core.send(transfer.target, { type: "timeoutNow" });
}

/** Ceases to lead, and has the one with most of the log stand for election at once. */
export function handOver(core: Core, leader: Leader): void {
  const target = furthest(core, leader);
  if (target !== null) core.send(target, { type: "timeoutNow" });
  core.becomeFollower(core.term);
}

/**
 * Others may be elected from now on though this node is still heard: no lease of this term vouches
 * for a read any more (R7).
 */
function dropLease(leader: Leader): void {
  leader.leaseUntil = 0 as Millis;
  leader.mayLease = false;
}

function furthest(core: Core, leader: Leader): NodeId | null {
  let best: { readonly id: NodeId; readonly promised: number } | null = null;
  for (const [id, { promised }] of leader.progress) {
    if (isFit(core, leader, id) && promised > (best?.promised ?? 0)) best = { id, promised };
  }
  return best?.id ?? null;
}

function isFit(core: Core, leader: Leader, id: NodeId): boolean {
  const progress = leader.progress.get(id);
  if (progress === undefined || !core.configuration.voters.includes(id)) return false;
  const isHeard = core.now - progress.heardAt < core.options.electionMs;
  return isHeard && progress.doubt === null && progress.mode !== "snapshot";
}
