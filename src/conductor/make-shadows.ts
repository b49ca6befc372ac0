/** Shadow policies: beside the scaler, on its readings; and the one of them that acts, if one was promoted. */

import { every } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { hostOomKills } from "../monitor/oom-kills.ts";
import { policyOf } from "../scaler/policy.ts";
import type { Order, Ordered } from "../scaler/promotion.ts";
import type { Scaler } from "../scaler/scaler.ts";
import { Shadows } from "../scaler/shadows.ts";
import type { Policy } from "../scaler/situation.ts";
import { EvidenceWatch, promotionProblems, type Watched } from "./evidence-watch.ts";
import type { Foundation } from "./foundation.ts";
import type { State } from "./make-state.ts";
import { PromotionDesk } from "./promotion-desk.ts";
import { ShadowFeed } from "./shadow-feed.ts";

const minuteMs = 60_000;

/** What they stand on. */
type Grounds = Pick<Foundation, "clock" | "log" | "events" | "startup" | "loaded" | "replay" | "policy">;

export interface ShadowPolicies {
  shadows: Shadows;
  desk: PromotionDesk;
  /** As configured. */
  watched(): readonly Watched[];
  /** A shadow acts from now on; null: there is none of that name. */
  promote(name: string, order: Order): Ordered | null;
  /** Its policy changes when one is promoted or rolled back. */
  drive(scaler: Scaler): void;
  /** The configuration was read again. Throws, with nothing changed, when it asks for what cannot be. */
  configure(config: Config): void;
}

/** Makes them and begins to watch; `foundation.policy` is the one that acts from here on. Throws when the configuration asks for what cannot be. */
export function makeShadows(
  foundation: Grounds,
  { storage, metrics }: Pick<State, "storage" | "metrics">,
  oomKills: () => number | null = () => readOomKills(foundation),
): ShadowPolicies {
  const { clock, log, events, startup, loaded } = foundation;
  const replay = foundation.replay ?? null;
  refuse(loaded.config, replay);
  const feed = new ShadowFeed(storage, metrics, log);
  const shadows = new Shadows(feed);
  let scaler: Scaler | null = null;
  const onPolicy = (policy: Policy) => {
    foundation.policy = policy;
    scaler?.setPolicy(policy);
    use();
  };
  const desk = new PromotionDesk(
    { clock, log, events, storage, metrics, oomKills, onPolicy },
    foundation.policy,
  );
  let watched: readonly Watched[] = [];
  const watch = ({ shadow }: Config) => {
    for (const { name } of storage.shadows.shadows())
      if (!shadow.some((each) => each.name === name)) storage.shadows.forget(name);
    watched = shadow.map((settings) => {
      const policy = policyOf(settings.settings);
      const { name } = settings;
      return { name, policy, settings, sinceMs: storage.shadows.watch(name, policy, clock.nowMs()) };
    });
  };
  /** The one that acts need not be compared with itself. */
  const use = () => shadows.use(watched.filter(({ name }) => name !== desk.promoted?.shadow));
  watch(loaded.config);
  foundation.policy = desk.acting;
  use();
  const hasFailed = (name: string) => shadows.views().some((each) => each.name === name && each.failed);
  const sound = () => watched.filter(({ name }) => !hasFailed(name));
  const evidence = new EvidenceWatch({ clock, log, storage, desk, replay, watched: sound });
  const minute = every(clock, minuteMs, () => {
    feed.flush(clock.nowMs());
    safely(foundation, () => desk.check());
    return evidence.look();
  });
  startup.onEnd("shadow policies", () => {
    minute.cancel();
    feed.flush(clock.nowMs());
  });
  events.on("scaling.decision", ({ rule, observed }) => {
    // After the decision is carried out or under way: who acts does not change in the middle of it.
    if (rule === "emergency" && !observed) clock.after(1, () => safely(foundation, () => desk.check()));
  });
  return {
    shadows,
    desk,
    watched: () => watched,
    promote: (name, order) => {
      const found = watched.find((each) => each.name === name);
      if (found && hasFailed(name))
        return {
          ok: false,
          code: "failed",
          message: `${name} failed as a shadow; see the log under shadow.failed`,
        };
      return found ? desk.promote(name, found.policy, order, null) : null;
    },
    drive: (driven) => {
      scaler = driven;
    },
    configure: (config) => {
      refuse(config, replay);
      watch(config);
      foundation.policy = desk.configure(policyOf(config.scaler));
      scaler?.setPolicy(foundation.policy);
      use();
    },
  };
}

function refuse({ shadow }: Config, replay: Parameters<typeof promotionProblems>[1]): void {
  const problems = promotionProblems(shadow, replay);
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function safely({ log }: Pick<Foundation, "log">, run: () => void): void {
  try {
    run();
  } catch (error) {
    log.error("shadow.check_failed", { error });
  }
}

/** Null where the kernel does not tell. */
function readOomKills({ log }: Pick<Foundation, "log">): number | null {
  try {
    return hostOomKills();
  } catch (error) {
    log.debug("shadow.oom_kills_unread", { error });
    return null;
  }
}
