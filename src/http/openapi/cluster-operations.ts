/** The routes of the cluster: its members, and who leads. */
import type { ErrorCode } from "../../service/errors.ts";
import { changesBody, leaderBody, memberBody } from "../cluster-bodies.ts";
import { changeQuery } from "../cluster-routes.ts";
import { noQuery } from "../status-routes.ts";
import { cluster, leader, member, members } from "./cluster-answers.ts";
import {
  ANY_ERRORS,
  BODY_ERRORS,
  CHANGE_REQUEST,
  json,
  NO_BODY_ERRORS,
  NODE_REQUEST,
  NOT_SERVED,
} from "./common.ts";
import type { Operation } from "./operation.ts";

const SHOW_ERRORS: readonly ErrorCode[] = [...ANY_ERRORS, ...NOT_SERVED];
const CHANGE_ERRORS: readonly ErrorCode[] = [
  ...SHOW_ERRORS,
  "NO_LEADER",
  "COMMIT_TIMEOUT",
  "FORWARD_FAILED",
  "CONFIG_CHANGE_IN_PROGRESS",
  "UNSAFE_CHANGE",
];
const AT_LEADER = "How far each member is, only the leader knows: ask it, or these are null.";

const shown = {
  methods: ["get"],
  tag: "the cluster",
  query: noQuery.schema,
  headers: NODE_REQUEST,
} as const;
const changed = { tag: "the cluster", query: changeQuery.schema, headers: CHANGE_REQUEST } as const;

const ofMembers: readonly Operation[] = [
  {
    ...shown,
    id: "getCluster",
    path: "/v1/cluster",
    summary: "Show the cluster",
    description: AT_LEADER,
    successes: { 200: json(cluster) },
    errors: SHOW_ERRORS,
    example: { url: "/v1/cluster" },
  },
  {
    ...shown,
    id: "getMembers",
    path: "/v1/cluster/members",
    summary: "Show all members",
    description: AT_LEADER,
    successes: { 200: json(members) },
    errors: SHOW_ERRORS,
    example: { url: "/v1/cluster/members" },
  },
  {
    ...changed,
    id: "addMember",
    methods: ["post"],
    path: "/v1/cluster/members",
    summary: "Add a member",
    description:
      "It is a learner, which gets the log and decides nothing; a voter becomes one by itself, " +
      "when it has caught up. Nodes that are started with --join ask for this themselves.",
    body: { "application/json": memberBody },
    successes: {
      200: json(cluster, [], "it was so already"),
      201: json(cluster, ["Location"], "it is a member"),
    },
    errors: [...CHANGE_ERRORS, ...BODY_ERRORS, "MEMBER_EXISTS"],
    example: {
      url: "/v1/cluster/members",
      body: { name: "n4", peer_url: "http://10.0.0.4:5001", role: "learner" },
    },
  },
  {
    ...changed,
    id: "changeMembers",
    methods: ["patch"],
    path: "/v1/cluster/members",
    summary: "Make several changes in one step",
    description:
      'All of them or none. To replace a member: {"promote":["n4"],"remove":["n1"]}, when n4 is ' +
      "a learner that keeps up.",
    body: { "application/json": changesBody },
    successes: { 200: json(cluster) },
    errors: [...CHANGE_ERRORS, ...BODY_ERRORS, "MEMBER_EXISTS", "MEMBER_NOT_FOUND"],
    example: {
      url: "/v1/cluster/members",
      body: { add: [{ name: "n5", peer_url: "http://10.0.0.5:5001", role: "learner" }] },
    },
  },
  {
    ...shown,
    id: "getMember",
    path: "/v1/cluster/members/{member}",
    summary: "Show a member",
    description: AT_LEADER,
    successes: { 200: json(member) },
    errors: [...SHOW_ERRORS, "MEMBER_NOT_FOUND", "ROUTE_NOT_FOUND"],
    example: { url: "/v1/cluster/members/n1" },
  },
  {
    ...changed,
    id: "removeMember",
    methods: ["delete"],
    path: "/v1/cluster/members/{member}",
    summary: "Remove a member",
    description: "It answers no client any more. Its name can be used again, its data cannot.",
    successes: { 200: json(cluster) },
    errors: [...CHANGE_ERRORS, ...NO_BODY_ERRORS, "MEMBER_NOT_FOUND", "ROUTE_NOT_FOUND"],
    example: { url: "/v1/cluster/members/n4" },
  },
  {
    ...changed,
    id: "promoteMember",
    methods: ["post"],
    path: "/v1/cluster/members/{member}/promote",
    summary: "Make a learner a voter",
    description: "Refused unless it keeps up with the log.",
    successes: { 200: json(cluster) },
    errors: [...CHANGE_ERRORS, ...NO_BODY_ERRORS, "MEMBER_NOT_FOUND", "ROUTE_NOT_FOUND"],
    example: { url: "/v1/cluster/members/n1/promote" },
  },
  {
    ...changed,
    id: "demoteMember",
    methods: ["post"],
    path: "/v1/cluster/members/{member}/demote",
    summary: "Make a voter a learner",
    successes: { 200: json(cluster) },
    errors: [...CHANGE_ERRORS, ...NO_BODY_ERRORS, "MEMBER_NOT_FOUND", "ROUTE_NOT_FOUND"],
    example: { url: "/v1/cluster/members/n4/demote" },
  },
];

const ofLeader: readonly Operation[] = [
  {
    ...shown,
    id: "getLeader",
    path: "/v1/cluster/leader",
    summary: "Show who leads",
    successes: { 200: json(leader) },
    errors: [...SHOW_ERRORS, "NO_LEADER"],
    example: { url: "/v1/cluster/leader" },
  },
  {
    ...changed,
    id: "transferLeadership",
    methods: ["post"],
    path: "/v1/cluster/leader",
    summary: "Hand leadership over",
    description: "To the target, or to whoever is furthest. The body may be left out.",
    body: { "application/json": leaderBody },
    successes: { 200: json(leader) },
    errors: [...CHANGE_ERRORS, ...BODY_ERRORS, "MEMBER_NOT_FOUND"],
    example: { url: "/v1/cluster/leader", body: { target: "n1" } },
  },
];

export const clusterOperations: readonly Operation[] = [...ofMembers, ...ofLeader];
