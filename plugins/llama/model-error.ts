/** What can go wrong with a model in ways that whoever asked can do something about; answered, not thrown, to them. */

import type { Json } from "conductor/plugin";

export type ModelErrorCode =
  | "bad-request"
  | "model-missing"
  | "model-broken"
  | "unsupported"
  | "not-installed"
  | "not-loaded"
  | "out-of-memory"
  | "overloaded"
  | "aborted"
  | "server-error";

export class ModelError extends Error {
  constructor(
    readonly code: ModelErrorCode,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }

  /** As it is answered. */
  get answer(): Json {
    return { error: { code: this.code, message: this.message.slice(0, 1_000), remedy: this.remedy } };
  }
}
