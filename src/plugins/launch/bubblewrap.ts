/** The command line of bwrap for `permissions.sandbox: bubblewrap`: the same rules, with namespaces around them. */

import type { FileRules, LaunchSpec } from "./spec.ts";

export const bubblewrapMissing =
  "bwrap is not installed, so the kernel's own means are used; install it with: apt-get install bubblewrap";

type Wrapped = Pick<LaunchSpec, "path" | "argv" | "folder" | "net"> & { files: FileRules };

/**
 * `kindOf` tells how to cover a hidden path; null: there is nothing to cover. Order matters to bwrap: a later mount covers
 * an earlier one.
 */
export function bubblewrapArguments(
  spec: Wrapped,
  kindOf: (path: string) => "folder" | "file" | null,
): string[] {
  const { files, net, folder, path, argv } = spec;
  const masked = files.hidden.flatMap((each) => {
    const kind = kindOf(each);
    if (kind === null) return [];
    return kind === "folder" ? ["--tmpfs", each] : ["--ro-bind", "/dev/null", each];
  });
  return [
    ...["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
    ...files.devices.flatMap((each) => ["--dev-bind-try", each, each]),
    ...masked,
    // Below a hidden folder these come back.
    ...files.readable.flatMap((each) => ["--ro-bind-try", each, each]),
    ...files.writable.flatMap((each) => ["--bind-try", each, each]),
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts"],
    ...(net.kind === "none" ? ["--unshare-net"] : []),
    ...["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--chdir", folder],
    ...["--", path, ...argv.slice(1)],
  ];
}
