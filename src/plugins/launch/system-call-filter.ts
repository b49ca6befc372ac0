/** A filter of system calls that surrounds conductor itself, as systemd and containers set one. */

export const filtered = {
  missing: "a filter of system calls around conductor denies Landlock",
  // By name: older releases of systemd have no group that holds them.
  remedy:
    "add landlock_create_ruleset landlock_add_rule landlock_restrict_self to SystemCallFilter in its systemd unit, or to its container's seccomp profile",
} as const;
