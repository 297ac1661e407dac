/** What the operator hears while no member lets a node join. */
import { printable } from "../../transport/identity.ts";
import type { Log } from "../log.ts";

/** That it goes on is said so often. */
const PAUSE_MS = 10_000;
/** More URLs than this make no line clearer. */
const URLS_MAX = 8;
/** Of what others say, who may be anybody. */
const WHY_CHARACTERS_MAX = 200;

export class JoinTroubles {
  readonly #log: Pick<Log, "info" | "warn" | "debug">;
  /** Of each URL, the last one. */
  readonly #whys = new Map<string, string>();
  #toldAt = performance.now();

  constructor(log: Pick<Log, "info" | "warn" | "debug">) {
    this.#log = log;
  }

  /** Whoever is at this URL has not let the node join. The first time is told at once. */
  add(url: string, why: string): void {
    const isFirst = !this.#whys.has(url);
    this.#whys.set(url, printable(why, WHY_CHARACTERS_MAX));
    this.#log[isFirst ? "info" : "debug"](
      `asking ${url} to join: ${this.#whys.get(url)}; trying again`,
    );
    const now = performance.now();
    if (now - this.#toldAt < PAUSE_MS) return;
    this.#toldAt = now;
    this.#log.warn(`no member lets this node join: ${this.#all()}; trying again`);
  }

  #all(): string {
    const said = [...this.#whys].map(([url, why]) => `${url}: ${why}`);
    const more = said.length - URLS_MAX;
    return [...said.slice(0, URLS_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
  }
}
