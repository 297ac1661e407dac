/** The service behind the listener, which answers before there is one and after it is stopped. */
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";

export class ServiceHolder {
  #service: KvService | null = null;
  #isStopping = false;

  /** The node has opened its data and runs: requests may come. */
  serve(service: KvService): void {
    this.#service = service;
  }

  /** No more requests, except about how the node is doing. Those under way go on. */
  stop(): void {
    this.#isStopping = true;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Null: not yet. */
  get service(): KvService | null {
    return this.#service;
  }

  /** For a request about data. Throws ServiceError where it must wait or go elsewhere. */
  open(): KvService {
    if (this.#isStopping) throw new ServiceError("SHUTTING_DOWN", "this node is shutting down");
    if (this.#service !== null) return this.#service;
    throw new ServiceError("NOT_READY", "this node is starting");
  }
}
