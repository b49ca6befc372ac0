/** What the kernel is to hold a launch to in files and network: made while everything can be opened, then taken into force. */

import { readdirSync } from "node:fs";
import type { Enforced, PermissionsEnforced } from "../enforcement.ts";
import { bubblewrapMissing } from "./bubblewrap.ts";
import { enterEmptyNetwork } from "./empty-network.ts";
import { type ListFolder, planFiles } from "./file-rules.ts";
import { landlockAbi, landlockMissing, makeRuleset, type Ruleset, restrictSelf } from "./landlock.ts";
import { landlockGap } from "./landlock-versions.ts";
import type { Libc } from "./libc.ts";
import { denySockets, type SocketRule } from "./seccomp.ts";
import type { LaunchSpec } from "./spec.ts";

const listFolder: ListFolder = (folder) => {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, link: entry.isSymbolicLink() }));
  } catch {
    return null; // What this user cannot list, the plugin could not read either.
  }
};

export interface Rules {
  ruleset: Ruleset | null;
  files: Enforced;
  /** What sockets may still be opened; null: the kernel need not watch them. */
  sockets: SocketRule | null;
  net: Enforced;
}

/** Everything that can be made before it takes effect, and the empty network, which takes effect at once. */
export function makeRules(libc: Libc, spec: LaunchSpec): Rules {
  const abi = spec.withhold.includes("landlock") ? 0 : landlockAbi(libc);
  const wrapped = spec.bubblewrap !== null;
  const listen = spec.net.kind === "listen" ? spec.net.port : null;
  const plan = wrapped ? null : planFiles(spec.files, spec.path, listFolder);
  const wanted = plan !== null || listen !== null;
  let ruleset = wanted ? makeRuleset(libc, { abi, grants: plan?.grants ?? null, tcpPort: listen }) : null;
  const net = netOf(libc, spec, abi, ruleset);
  // Where TCP cannot be held, files still can.
  if (ruleset?.ok === false && listen !== null && plan)
    ruleset = makeRuleset(libc, { abi, grants: plan.grants, tcpPort: null });
  return { ruleset, files: filesOf(spec, abi, ruleset, plan?.reduced ?? false), ...net };
}

function filesOf(spec: LaunchSpec, abi: number, ruleset: Ruleset | null, reduced: boolean): Enforced {
  if (spec.bubblewrap !== null) return { mechanism: spec.bubblewrap.version, reason: null };
  const missing = spec.bubblewrapMissing ? bubblewrapMissing : null;
  if (!ruleset?.ok) {
    const because = ruleset?.reason ?? landlockMissing;
    return { mechanism: null, reason: missing === null ? because : `${because}; ${missing}` };
  }
  const few = reduced
    ? "too much lies beside the hidden files to list it, so only system folders and its own can be read"
    : null;
  const reasons = [missing, landlockGap(abi), few].filter((reason) => reason !== null);
  return {
    mechanism: `Landlock (ABI ${abi})`,
    reason: reasons.length > 0 ? reasons.join("; ") : null,
  };
}

function netOf(
  libc: Libc,
  spec: LaunchSpec,
  abi: number,
  ruleset: Ruleset | null,
): Pick<Rules, "net" | "sockets"> {
  if (spec.net.kind === "all") return { net: { mechanism: null, reason: null }, sockets: null };
  if (spec.net.kind === "listen")
    return ruleset?.ok
      ? { net: { mechanism: `seccomp and Landlock (ABI ${abi})`, reason: null }, sockets: "listen" }
      : { net: { mechanism: null, reason: ruleset?.reason ?? landlockMissing }, sockets: null };
  if (spec.bubblewrap !== null)
    return { net: { mechanism: spec.bubblewrap.version, reason: null }, sockets: null };
  const refused = spec.withhold.includes("network namespace") ? "withheld" : enterEmptyNetwork(libc);
  if (refused === null) return { net: { mechanism: "network namespace", reason: null }, sockets: null };
  return { net: { mechanism: "seccomp", reason: null }, sockets: "none" };
}

/** Takes into force what holds only once no_new_privs does; yields what held in the end. */
export function restrict(libc: Libc, rules: Rules): Pick<PermissionsEnforced, "files" | "net"> {
  let { files, net } = rules;
  if (rules.ruleset?.ok) {
    const failure = restrictSelf(libc, rules.ruleset.fd);
    if (failure !== null) {
      if (files.mechanism?.startsWith("Landlock")) files = { mechanism: null, reason: failure };
      if (rules.sockets === "listen") net = { mechanism: null, reason: failure };
    }
  }
  if (rules.sockets !== null && net.mechanism !== null) {
    const failure = denySockets(libc, rules.sockets);
    if (failure !== null) net = { mechanism: null, reason: failure };
  }
  return { files, net };
}
