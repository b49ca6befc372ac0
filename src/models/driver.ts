/** What differs between engines. `ManagedEngine` puts the states, the bounds and the order of things around it. */

import type { EngineHealth, EngineKind, GenerateRequest, ReleaseProof, Usage } from "./engine.ts";
import type { EngineFailure } from "./failure.ts";

/** What a driver yields: text as it comes, and once, last, how the model ended. */
export type Piece =
  | { kind: "text"; text: string }
  | { kind: "end"; finishReason: "stop" | "length"; usage: Usage };

export interface Driver {
  readonly kind: EngineKind;
  readonly model: string;
  /** Generations at once; one more is refused as overloaded. */
  readonly mostGenerations: number;
  /**
   * Brings the model to where it answers. Throws EngineError, and promptly when `signal` aborts. What it began is ended by
   * `release`, which always follows a failure.
   */
  load(signal: AbortSignal): Promise<{ contextTokens: number | null }>;
  /** Gives back all that `load` took, however far it came; harmless twice. Throws EngineError when it could not. */
  release(): Promise<ReleaseProof>;
  /**
   * Generates until its "end" piece. Throws EngineError. When `signal` aborts it tells the engine to stop, and ends (by
   * throwing or returning) once the engine has; within seconds at most.
   */
  stream(request: GenerateRequest, signal: AbortSignal): AsyncIterable<Piece>;
  footprintBytes(): Promise<number | null>;
  health(): Promise<EngineHealth>;
  /** Told when what was loaded ended by itself. Set once, by the engine around it. */
  onEnded: ((failure: EngineFailure) => void) | null;
}
