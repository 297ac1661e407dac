/** The service behind the listener, which answers before there is one and after it is stopped. */
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";

export class ServiceHolder {
  #service: KvService | null = null;
  #waitsFor: string | null = null;
  #isStopping = false;
  #wrong: string | null = null;
  #removed: string | null = null;

  /** The node has opened its data and runs: requests may come. */
  serve(service: KvService): void {
    this.#service = service;
  }

  /** Before it runs: what it waits for, in words; null: nothing in particular. */
  waitFor(what: string | null): void {
    this.#waitsFor = what;
  }

  /** No more requests, except about how the node is doing. Those under way go on. */
  stop(): void {
    this.#isStopping = true;
  }

  /** The state is not what it should be: no more requests either. `why` says what to do. */
  quarantine(why: string): void {
    this.#wrong = why;
  }

  /** This node is no member any more: no more requests. `why` says what to do. */
  remove(why: string): void {
    this.#removed = why;
  }

  /** Why this node is no member any more; null: it is one, or will be. */
  get removed(): string | null {
    return this.#removed;
  }

  /** What is wrong with the state; null: nothing is known to be. */
  get wrong(): string | null {
    return this.#wrong;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** What it waits for before it runs; null: nothing in particular. */
  get waiting(): string | null {
    return this.#waitsFor === null ? null : `waiting for ${this.#waitsFor}`;
  }

  /** Null: not yet. */
  get service(): KvService | null {
    return this.#service;
  }

  /** For a request about data. Throws ServiceError where it must wait or go elsewhere. */
  open(): KvService {
    if (this.#isStopping) throw new ServiceError("SHUTTING_DOWN", "this node is shutting down");
    if (this.#wrong !== null) throw new ServiceError("CORRUPT", this.#wrong);
    if (this.#removed !== null) throw new ServiceError("MEMBER_REMOVED", this.#removed);
    if (this.#service !== null) return this.#service;
    throw this.notStarted();
  }

  /** Says that there is no service yet, and why. */
  notStarted(): ServiceError {
    const text = this.waiting ?? "this node is starting";
    return new ServiceError("NOT_READY", text);
  }
}
