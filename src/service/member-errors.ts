/** Why a change of the members was refused, in words. */
import type { ChangeProblem } from "../raft/change.ts";
import type { ChangeRefusal } from "../raft/reconfigure.ts";
import { ServiceError } from "./errors.ts";

/** The others are no answer: another node may lead, or this one in a moment. */
type FinalRefusal = Exclude<ChangeRefusal, { readonly refused: "not_leader" | "not_ready" }>;

/** The error to answer with. */
export function asMemberError(refusal: FinalRefusal): ServiceError {
  switch (refusal.refused) {
    case "in_progress": {
      const text = "another change of the members is under way: ask again when it is through";
      return new ServiceError("CONFIG_CHANGE_IN_PROGRESS", text);
    }
    case "behind": {
      const text = `${listOf(refusal.ids)} must catch up before voting: wait until its lag is gone`;
      return new ServiceError("UNSAFE_CHANGE", text);
    }
    case "unsafe": {
      const text =
        "too few of the voters that there would be are here to decide anything: " +
        `${listOf(refusal.ids)} would have to answer, and cannot`;
      return new ServiceError("UNSAFE_CHANGE", text);
    }
    case "problem":
      return problemError(refusal);
  }
}

function problemError({ problem, id }: ChangeProblem): ServiceError {
  switch (problem) {
    case "exists": {
      const text =
        `${id} is a member already, with another address or data directory: choose another ` +
        "name, or remove it first if it is gone";
      return new ServiceError("MEMBER_EXISTS", text);
    }
    case "url_taken":
      return new ServiceError("MEMBER_EXISTS", `another member has the peer URL given for ${id}`);
    case "unknown":
      return new ServiceError("MEMBER_NOT_FOUND", `${id} is no member`);
    case "not_learner":
      return new ServiceError("INVALID_REQUEST", `${id} is a voter already`);
    case "not_voter":
      return new ServiceError("INVALID_REQUEST", `${id} is a learner already`);
    case "named_twice":
      return new ServiceError("INVALID_REQUEST", `${id} is named twice in one change`);
    case "no_voters":
      return new ServiceError("UNSAFE_CHANGE", "no voter would be left");
    case "too_many":
      return new ServiceError("INVALID_REQUEST", "there would be more than 255 members");
  }
}

/** `n1`, `n1 and n2`, `n1, n2 and n3`. */
function listOf(ids: readonly string[]): string {
  const last = ids.at(-1) ?? "";
  return ids.length < 2 ? last : `${ids.slice(0, -1).join(", ")} and ${last}`;
}
