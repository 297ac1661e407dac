/** The network of a script: messages stay in flight until the script says what becomes of them. */
import type { Message } from "../../src/raft/message.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { MESSAGE_TYPES } from "./notation.ts";

/** Which messages are meant: `n1→n2 append #2`; `*` and what is left out stand for all. */
export interface Pattern {
  readonly from: string;
  readonly to: string;
  readonly type: string;
  /** Counted from 1 among those that match; null: all of them. */
  readonly nth: number | null;
}

export function parsePattern(words: readonly string[]): Pattern {
  let pattern: Pattern = { from: "*", to: "*", type: "*", nth: null };
  for (const word of words) {
    const link = parseLink(word);
    if (link !== null) pattern = { ...pattern, ...link };
    else if (/^#\d+$/.test(word)) pattern = { ...pattern, nth: Number(word.slice(1)) };
    else if (MESSAGE_TYPES.some((type) => type === word)) pattern = { ...pattern, type: word };
    else throw new Error(`not a pattern of messages: ${word}`);
  }
  return pattern;
}

/** `n1→n2`, or `n1->n2` for those without the key. */
export function parseLink(word: string): { from: string; to: string } | null {
  const match = /^(\S+?)(?:→|->)(\S+)$/.exec(word);
  return match === null ? null : { from: match[1] ?? "", to: match[2] ?? "" };
}

export class Network {
  private flight: Message[] = [];
  private held: Message[] = [];
  private readonly cuts = new Set<string>();
  private readonly ends: ReadonlyMap<NodeId, unknown>;

  /** Messages to others than `ends` are lost without a word: nobody plays them. */
  constructor(ends: ReadonlyMap<NodeId, unknown>) {
    this.ends = ends;
  }

  send(message: Message): string {
    if (!this.ends.has(message.to)) return "";
    if (this.cuts.has(`${message.from}→${message.to}`)) return " ✗";
    this.flight.push(message);
    return "";
  }

  /** Loses everything that is sent from now on in this direction. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from}→${to}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  clear(): void {
    this.flight = [];
    this.held = [];
    this.heal();
  }

  /** Takes messages out of flight, oldest first. Those to `except` stay. */
  take(pattern: Pattern, except: (to: NodeId) => boolean = () => false): readonly Message[] {
    const matching = this.matching(this.flight, pattern).filter((m) => !except(m.to));
    this.flight = this.flight.filter((m) => !matching.includes(m));
    return matching;
  }

  /** Puts messages aside until they are released. */
  hold(pattern: Pattern): readonly Message[] {
    const taken = this.take(pattern);
    this.held.push(...taken);
    return taken;
  }

  /** Puts a second copy of messages aside; the first stays in flight. */
  duplicate(pattern: Pattern): readonly Message[] {
    const copied = this.matching(this.flight, pattern).map((m) => ({ ...m }));
    this.held.push(...copied);
    return copied;
  }

  /** Puts what was aside back in flight. */
  release(pattern: Pattern): readonly Message[] {
    const released = this.matching(this.held, pattern);
    this.held = this.held.filter((m) => !released.includes(m));
    this.flight.push(...released);
    return released;
  }

  private matching(among: readonly Message[], pattern: Pattern): readonly Message[] {
    const fits = (wanted: string, actual: string) => wanted === "*" || wanted === actual;
    const all = among.filter((m) => {
      return fits(pattern.from, m.from) && fits(pattern.to, m.to) && fits(pattern.type, m.type);
    });
    return pattern.nth === null ? all : all.slice(pattern.nth - 1, pattern.nth);
  }
}
