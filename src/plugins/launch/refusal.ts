/** Whether what took effect is enough to start a plugin that nobody vouched for. */

import { type PermissionsEnforced, unenforced } from "../enforcement.ts";

/** Why a plugin without `trust: true` is not started, with what to do; null when all that has to hold holds. */
export function refusal(permissions: PermissionsEnforced): string | null {
  const open = unenforced(permissions);
  if (open.length === 0) return null;
  const parts = open.map((name) => {
    // The reasons of the others say what the host needs.
    const grant = name === "net" ? "; grant it in its plugin.yaml (permissions: { net: true })" : "";
    return `permissions.${name} cannot be enforced here: ${permissions[name].reason}${grant}`;
  });
  return `not started: ${parts.join("; ")}; or set trust: true in its plugin.yaml to start it all the same`;
}
