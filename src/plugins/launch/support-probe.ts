/** What this host's kernel offers to a launch: tried for real, in a process that ends right after. */

import { enterEmptyNetwork } from "./empty-network.ts";
import { landlockAbi } from "./landlock.ts";
import { Libc } from "./libc.ts";
import { forbidNewPrivileges } from "./privileges.ts";
import { denySockets } from "./seccomp.ts";

/** One reading; null in `...Problem` means that it works. */
export interface SupportProbe {
  /** 0: none. */
  landlockAbi: number;
  namespaceProblem: string | null;
  privilegesProblem: string | null;
  seccompProblem: string | null;
  isRoot: boolean;
}

/** Tries everything on this very process, which is of little use afterwards. */
export function probeSupport(): SupportProbe {
  const libc = Libc.open();
  return {
    landlockAbi: landlockAbi(libc),
    namespaceProblem: enterEmptyNetwork(libc),
    privilegesProblem: forbidNewPrivileges(libc).reason,
    seccompProblem: denySockets(libc, "none"),
    isRoot: process.getuid?.() === 0,
  };
}
