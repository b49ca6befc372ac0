/** Whether what took effect is enough to start a plugin that nobody vouched for. */

import { type PermissionsEnforced, unenforced } from "../enforcement.ts";

const remedies: Record<string, string> = {
  net: "grant it (permissions: { net: true })",
  files: "make the kernel able to",
  privileges: "make the kernel able to",
  user: "make the kernel able to hold its files",
};

/** Why a plugin without `trust: true` is not started, with what to do; null when all that has to hold holds. */
export function refusal(permissions: PermissionsEnforced): string | null {
  const open = unenforced(permissions);
  if (open.length === 0) return null;
  const parts = open.map(
    (name) =>
      `permissions.${name} cannot be enforced here: ${permissions[name].reason}; ${remedies[name] ?? "correct that"}`,
  );
  return `not started: ${parts.join("; ")}; or set trust: true in its plugin.yaml to start it all the same`;
}
