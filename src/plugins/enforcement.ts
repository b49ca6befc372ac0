/** What holds a plugin to its limits and permissions: what took effect, never what was asked for. */

/** One limit or permission of a running plugin. */
export interface Enforced {
  /** What holds it, such as "cgroup v2" or "Landlock (ABI 4)"; null: nothing does, or nothing has to. */
  mechanism: string | null;
  /** Why nothing holds it, or holds only a part, with what to do; null when all is as asked. */
  reason: string | null;
}

export type LimitName = "memory" | "cpu" | "processes" | "openFiles";
export type PermissionName = "env" | "net" | "files" | "user" | "privileges";

export type LimitsEnforced = Record<LimitName, Enforced>;
export type PermissionsEnforced = Record<PermissionName, Enforced>;

/**
 * The permissions that were to be held and are not. The user counts only where nothing holds the files: a plugin that
 * runs as conductor's own user is still kept from conductor's files by Landlock.
 */
export function unenforced(permissions: PermissionsEnforced): PermissionName[] {
  const names: PermissionName[] = ["env", "net", "files", "user", "privileges"];
  return names.filter((name) => {
    const { mechanism, reason } = permissions[name];
    return mechanism === null && reason !== null && (name !== "user" || permissions.files.mechanism === null);
  });
}

/** What this host could enforce: a line of `conductor doctor`. */
export interface Support {
  /** Such as "limits.memory" or "permissions.net". */
  what: LimitName | PermissionName | string;
  /** What would hold it; null: nothing. */
  mechanism: string | null;
  /** What is missing, for a person; null when nothing is. */
  missing: string | null;
  /** A command or setting that grants it; null when there is none, or nothing is missing. */
  remedy: string | null;
}
