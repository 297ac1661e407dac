/** Errors that tell more in the headers of their answer than others do. */
import { ServiceError } from "../service/errors.ts";

/** The error that it is made of, with headers for its answer. */
export class HeadedError extends ServiceError {
  readonly headers: Readonly<Record<string, string>>;

  constructor({ code, message, details }: ServiceError, headers: HeadedError["headers"]) {
    super(code, message, { details });
    this.headers = headers;
  }
}
