/** A filter of system calls that surrounds conductor itself, as systemd and containers set one. */

export const filtered = {
  missing: "a filter of system calls around conductor denies Landlock",
  remedy:
    "add @sandbox to SystemCallFilter in its systemd unit, or allow landlock_* in its container's seccomp profile",
} as const;
