/** A routing rule as data: what `routing.rules` is read into, and what routing compiles. */

/** What a test looks at. Header names are in lower case; an empty path is the payload itself. */
export type Subject =
  | { kind: "platform" }
  | { kind: "type" }
  | { kind: "header"; name: string }
  | { kind: "payload"; path: readonly string[] };

export type Scalar = string | number | boolean | null;

/** `prefix` and `regex` hold for texts only; `exists` is about being there, whatever the value. */
export type FieldTest =
  | { op: "equals"; value: Scalar }
  | { op: "in"; values: readonly Scalar[] }
  | { op: "prefix"; value: string }
  | { op: "regex"; pattern: string }
  | { op: "exists"; value: boolean };

/** `all` of nothing holds. */
export type Condition =
  | { kind: "test"; subject: Subject; test: FieldTest }
  | { kind: "all"; of: readonly Condition[] }
  | { kind: "any"; of: readonly Condition[] }
  | { kind: "not"; of: Condition };

/** How one of several processes of a plugin is chosen. */
export type Balance =
  | { kind: "least-busy" | "power-of-two" | "round-robin" }
  /** Requests with the same value there go to the same process; those without one to the least busy. */
  | { kind: "hash"; by: Subject };

export interface RouteRule {
  /** Unique. */
  name: string;
  when: Condition;
  /** The platform that matching requests go to. */
  to: string;
  /** Platforms that answer in its place, in this order; null: as without a rule. */
  fallback: readonly string[] | null;
  /** A request may be sent twice without harm. */
  idempotent: boolean;
  balance: Balance;
}

/** `payload.user.id`, `header.x-tenant`, as it is written in a rule. */
export function formatSubject(subject: Subject): string {
  if (subject.kind === "header") return `header.${subject.name}`;
  if (subject.kind !== "payload") return subject.kind;
  return ["payload", ...subject.path.map((step) => step.replaceAll(/[\\.]/g, "\\$&"))].join(".");
}
