/** The kinds of values that settings have, each read from text. */
import { z } from "zod";
import { isNodeId, type NodeId } from "../raft/types.ts";

/** A host and port to listen on. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads the name of a node. */
export function nodeName() {
  return z.string().refine(isNodeId, "use 1-64 characters of A-Z a-z 0-9 . _ -");
}

/** Reads a whole number within bounds. */
export function wholeNumber(min: number, max: number) {
  const must = `use a whole number from ${min} to ${max}`;
  const text = z.string().regex(/^\d{1,15}$/, must);
  return text.transform(Number).pipe(z.number().min(min, must).max(max, must));
}

/** Reads `host:port`, with IPv6 hosts in brackets. */
export function address() {
  const must = "use host:port, such as 127.0.0.1:4001";
  return z.string().transform((text, context): Address => {
    const [, inBrackets, plain, port] =
      /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? [];
    const host = inBrackets ?? plain;
    const number = Number(port);
    if (host !== undefined && number >= 1 && number <= 65_535) return { host, port: number };
    context.addIssue(must);
    return z.NEVER;
  });
}

/** An address as `address` reads it. */
export function hostAndPort({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Reads an origin. It is as URLs write it, so that equal ones are equal as text. */
export function origin() {
  return z.string().transform((text, context) => {
    const found = originOf(text);
    if (found !== null) return found;
    context.addIssue("use a URL such as http://127.0.0.1:4001");
    return z.NEVER;
  });
}

/** Reads origins, separated by commas. */
export function origins() {
  return z.string().transform((text, context): readonly string[] => {
    const found = text.split(",").map((part) => originOf(part.trim()));
    const whole = found.filter((each) => each !== null);
    if (whole.length === found.length) return whole;
    context.addIssue("use URLs such as http://127.0.0.1:4001, separated by commas");
    return z.NEVER;
  });
}

function originOf(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:" || url.href !== `${url.origin}/`) return null;
  return url.origin;
}

/** Reads `n1=http://…,n2=…`. */
export function cluster() {
  const must = "use name=url,name=url,… with each name and each URL once";
  return z.string().transform((text, context): ReadonlyMap<NodeId, string> => {
    const members = new Map<NodeId, string>();
    const parts = text.split(",");
    for (const part of parts) {
      const [, id = "", address = ""] = /^\s*([^=\s]*)=(\S*)\s*$/.exec(part) ?? [];
      const url = originOf(address);
      if (isNodeId(id) && url !== null) members.set(id, url);
    }
    if (members.size === parts.length && new Set(members.values()).size === parts.length) {
      return members;
    }
    context.addIssue(must);
    return z.NEVER;
  });
}
