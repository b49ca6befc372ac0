/** `platform`, `type`, `header.x-tenant`, `payload.user.id`: the text that says what a test looks at. */

import type { Subject } from "./route-rule.ts";

/** Steps of a path; deeper payloads exist, but nobody tells requests apart by what lies there. */
export const mostSteps = 16;
const mostStepChars = 128;

export const subjectForms = "platform, type, header.NAME, payload or payload.FIELD";

/** The characters of a header's name (RFC 9110, token). */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** The subject, or why it is none, beginning with "expected". A dot inside a field's name is written `\.`. */
export function parseSubject(text: string): Subject | string {
  if (text === "platform" || text === "type") return { kind: text };
  if (text === "payload") return { kind: "payload", path: [] };
  if (text.startsWith("header.")) {
    const name = text.slice("header.".length);
    if (headerName.test(name)) return { kind: "header", name: name.toLowerCase() };
    return "expected the name of a header after header., such as header.x-tenant";
  }
  if (!text.startsWith("payload.")) return `expected ${subjectForms}`;
  const path = steps(text.slice("payload.".length));
  if (path.length > mostSteps) return `expected at most ${mostSteps} fields, one inside the other`;
  if (path.every((step) => step !== "" && step.length <= mostStepChars)) return { kind: "payload", path };
  return `expected names of 1 to ${mostStepChars} characters between the dots, such as payload.user.id`;
}

function steps(text: string): string[] {
  const found = [""];
  for (const [part] of text.matchAll(/\\[\\.]|./gs)) {
    if (part === ".") found.push("");
    else found.push(`${found.pop()}${part.length === 2 && part.startsWith("\\") ? part.slice(1) : part}`);
  }
  return found;
}
