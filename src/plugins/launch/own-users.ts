/** Whether a conductor that is root can give each plugin a user of its own, and still rule over it. */

import { readFileSync } from "node:fs";
import { firstPluginUser, lastPluginUser } from "./plugin-user.ts";

/** Numbers of include/uapi/linux/capability.h: to hand folders over, to look into them, to end processes, to change users. */
const needed = { CAP_CHOWN: 0, CAP_DAC_OVERRIDE: 1, CAP_KILL: 5, CAP_SETGID: 6, CAP_SETUID: 7 } as const;

export interface NoOwnUsers {
  missing: string;
  remedy: string;
}

/** The line of a map that holds every user of a plugin: first inside, first outside, how many. */
const holdsAll = (map: string): boolean =>
  map.split("\n").some((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return count > 0 && first <= firstPluginUser && first + count > lastPluginUser;
  });

/** Why not, from the texts of /proc/self/status, uid_map and gid_map; null when nothing is in the way. */
export function ownUsersObstacle(status: string, maps: readonly string[]): NoOwnUsers | null {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const lacking = Object.entries(needed).filter(([, bit]) => (effective & (1n << BigInt(bit))) === 0n);
  if (lacking.length > 0)
    return {
      missing: `conductor is root without ${lacking.map(([name]) => name).join(", ")}`,
      remedy: "leave them in CapabilityBoundingSet of its systemd unit, or add them to its container",
    };
  if (maps.every(holdsAll)) return null;
  return {
    missing: `users ${firstPluginUser} to ${lastPluginUser} do not exist in this user namespace`,
    remedy: `map at least ${lastPluginUser + 1} users into its container`,
  };
}

/** The same of this process, which is root. */
export function whyNoOwnUsers(): NoOwnUsers | null {
  const [status = "", ...maps] = ["status", "uid_map", "gid_map"].map((name) =>
    readFileSync(`/proc/self/${name}`, "utf8"),
  );
  return ownUsersObstacle(status, maps);
}
