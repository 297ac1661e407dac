/** What the routes of the cluster take as JSON, and which changes of the members that means. */
import { z } from "zod";
import type { MemberChanges } from "../service/members.ts";
import {
  addChange,
  memberName,
  moveChange,
  namedChange,
  PATTERNS,
} from "../service/member-wishes.ts";
import { checkFields, type Fields } from "./body.ts";
import { invalid } from "./query.ts";

/** So many names and URLs go to the leader in one call. */
const CHANGES_MAX = 64;

const name = z
  .string()
  .regex(PATTERNS.member)
  .meta({ description: "of a member: 1 to 64 characters of A-Z a-z 0-9 . _ -" });
const peerUrl = z
  .string()
  .meta({ description: "where the other nodes reach it: a URL without a path" });
const names = z.array(name);

/** What `POST /v1/cluster/members` takes. */
export const memberBody = z
  .strictObject({
    name,
    peer_url: peerUrl,
    role: z
      .enum(["voter", "learner"])
      .optional()
      .meta({ description: "voter, the default: it is a learner until it has caught up" }),
    incarnation: z
      .string()
      .regex(PATTERNS.incarnation)
      .optional()
      .meta({ description: "of its data directory; otherwise whichever joins first" }),
  })
  .meta({ id: "NewMember", description: "A member to be." });

const moveBody = z.strictObject({ name, peer_url: peerUrl });

/** What `PATCH /v1/cluster/members` takes. */
export const changesBody = z
  .strictObject({
    add: z.array(memberBody).optional(),
    promote: names.optional().meta({ description: "learners that become voters" }),
    demote: names.optional().meta({ description: "voters that become learners" }),
    remove: names.optional(),
    move: z.array(moveBody).optional().meta({ description: "members with other peer URLs" }),
  })
  .meta({
    id: "MemberChanges",
    description: "All of it in one step, or nothing; 1 to 64 changes, each of another member.",
  });

/** What `POST /v1/cluster/leader` takes. */
export const leaderBody = z
  .strictObject({ target: name.optional() })
  .meta({ id: "NewLeader", description: "Who is to lead; otherwise whoever is furthest." });

/** Throws ServiceError INVALID_PARAM where the fields are not as described, as all that follow. */
export function addIn(fields: Fields): MemberChanges[number] {
  checkFields(fields, memberBody);
  const { role = "voter", incarnation } = fields;
  if (role !== "voter" && role !== "learner") throw invalid('"role" must be voter or learner');
  return addChange({
    name: textIn(fields, "name"),
    peerUrl: textIn(fields, "peer_url"),
    role,
    incarnation: incarnation === undefined ? null : textIn(fields, "incarnation"),
  });
}

export function changesIn(fields: Fields): MemberChanges {
  checkFields(fields, changesBody);
  const changes = [
    ...listIn(fields, "add").map((one) => addIn(objectIn(one, "add"))),
    ...(["promote", "demote", "remove"] as const).flatMap((type) => {
      return listIn(fields, type).map((one) => namedChange(type, nameIn(one, type)));
    }),
    ...listIn(fields, "move").map((one) => moveIn(objectIn(one, "move"))),
  ];
  if (changes.length > 0 && changes.length <= CHANGES_MAX) return changes;
  throw invalid(`the body must have 1 to ${CHANGES_MAX} changes, and has ${changes.length}`);
}

/** Null: whoever is furthest. */
export function targetIn(fields: Fields): ReturnType<typeof memberName> | null {
  checkFields(fields, leaderBody);
  return fields["target"] === undefined ? null : memberName(textIn(fields, "target"));
}

function moveIn(fields: Fields): MemberChanges[number] {
  checkFields(fields, moveBody);
  return moveChange(textIn(fields, "name"), textIn(fields, "peer_url"));
}

function listIn(fields: Fields, field: string): readonly unknown[] {
  const { [field]: list = [] } = fields;
  if (Array.isArray(list)) return list;
  throw invalid(`"${field}" in the body must be an array`);
}

function objectIn(value: unknown, field: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid(`"${field}" in the body must be an array of objects`);
}

function nameIn(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw invalid(`"${field}" in the body must be an array of names`);
}

function textIn(fields: Fields, field: string): string {
  const { [field]: value } = fields;
  if (typeof value === "string") return value;
  throw invalid(`"${field}" must be given as text`);
}
