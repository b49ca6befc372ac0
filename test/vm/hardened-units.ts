/** Units that take something from conductor: what its plugin is then held by, and what is said of it. */

import { plugins } from "./guest-plugins.ts";
import { check, part } from "./recorder.ts";
import { type ServedView, Service } from "./service.ts";

interface Unit {
  what: string;
  properties: readonly string[];
  holds(bot: ServedView): boolean;
}

const user = (bot: ServedView) => bot.permissions?.user;
const asRoot = (bot: ServedView, because: string): boolean =>
  user(bot)?.mechanism === "root without capabilities" && user(bot)?.reason?.includes(because) === true;
const landlockCalls = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";
const notStarted = (bot: ServedView): boolean =>
  bot.state !== "ready" && /filter of system calls.*SystemCallFilter/.test(bot.lastError ?? "");

const units: readonly Unit[] = [
  {
    what: "with what is usually protected nothing is lost",
    properties: ["ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "NoNewPrivileges=yes"],
    holds: (bot) =>
      bot.limits.mechanism === "cgroup v2" &&
      bot.permissions?.net?.mechanism === "network namespace" &&
      user(bot)?.mechanism?.startsWith("uid ") === true,
  },
  {
    what: "without namespaces seccomp holds the network",
    properties: ["RestrictNamespaces=yes"],
    holds: (bot) => bot.state === "ready" && bot.permissions?.net?.mechanism === "seccomp",
  },
  {
    what: "without root's powers plugins stay root, and it is said which are missing",
    properties: ["CapabilityBoundingSet=CAP_KILL"],
    holds: (bot) => bot.state === "ready" && asRoot(bot, "CAP_SETUID"),
  },
  {
    what: "in a user namespace without their users plugins stay root, and it is said",
    properties: ["PrivateUsers=yes"],
    holds: (bot) => bot.state === "ready" && asRoot(bot, "do not exist in this user namespace"),
  },
  {
    what: "with read-only cgroups the unit's setting is named",
    properties: ["ProtectControlGroups=yes"],
    holds: (bot) =>
      bot.limits.mechanism === "statm watch" &&
      bot.limits.enforced.memory?.reason?.includes("ProtectControlGroups") === true,
  },
  {
    what: "a filter that denies Landlock keeps plugins from starting, and is named",
    properties: ["SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM"],
    holds: notStarted,
  },
  {
    what: "a filter that kills for it does so too",
    properties: ["SystemCallFilter=@system-service"],
    holds: notStarted,
  },
  {
    what: "a filter with the calls that are named is enough",
    properties: [`SystemCallFilter=@system-service ${landlockCalls}`],
    holds: (bot) => bot.state === "ready" && bot.permissions?.files?.mechanism === "Landlock (ABI 2)",
  },
];

/** Starts a conductor in each unit; `finish` clears away after it. */
export async function hardenedUnits(finish: (service: Service) => Promise<void>): Promise<void> {
  for (const { what, properties, holds } of units) {
    const service = new Service("hardened", properties);
    await part(service.as, what, async () => {
      service.prepare({ bot: plugins.bot });
      const [bot] = await service.start();
      if (!bot) throw new Error("it runs no plugin");
      const { state, lastError, permissions, limits } = bot;
      check(service.as, what, holds(bot), { state, lastError, permissions, limits: limits.enforced });
    });
    await finish(service);
  }
}
