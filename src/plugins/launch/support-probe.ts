/** What this host's kernel offers to a launch: tried for real, in a process that ends right after. */

import { enterEmptyNetwork } from "./empty-network.ts";
import { landlockAbi, landlockDenied } from "./landlock.ts";
import { Libc } from "./libc.ts";
import { type NoOwnUsers, whyNoOwnUsers } from "./own-users.ts";
import { forbidNewPrivileges } from "./privileges.ts";
import { denySockets } from "./seccomp.ts";

/** One reading; null in `...Problem` means that it works. */
export interface SupportProbe {
  /** 0: none. */
  landlockAbi: number;
  /** A filter of system calls keeps it from us. */
  landlockDenied: boolean;
  namespaceProblem: string | null;
  privilegesProblem: string | null;
  seccompProblem: string | null;
  isRoot: boolean;
  /** Null where there is no root. */
  noOwnUsers: NoOwnUsers | null;
}

/** Tries everything on this very process, which is of little use afterwards. */
export function probeSupport(): SupportProbe {
  const libc = Libc.open();
  const isRoot = process.getuid?.() === 0;
  return {
    landlockAbi: landlockAbi(libc),
    landlockDenied: landlockDenied(libc),
    namespaceProblem: enterEmptyNetwork(libc),
    privilegesProblem: forbidNewPrivileges(libc).reason,
    seccompProblem: denySockets(libc, "none"),
    isRoot,
    noOwnUsers: isRoot ? whyNoOwnUsers() : null,
  };
}
