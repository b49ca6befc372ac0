/** Shadow policies: beside the scaler, on its readings; and the one of them that acts, if one was promoted. */

import { every } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { hostOomKills } from "../monitor/oom-kills.ts";
import { selfCommand } from "../plugins/self-command.ts";
import { policyOf } from "../scaler/policy.ts";
import type { Order, Ordered } from "../scaler/promotion.ts";
import type { Scaler } from "../scaler/scaler.ts";
import { Shadows } from "../scaler/shadows.ts";
import type { Policy } from "../scaler/situation.ts";
import type { Storage } from "../storage/storage.ts";
import { BackgroundReplay } from "./background-replay.ts";
import { EvidenceWatch, type Judged, promotionProblems, type Watched } from "./evidence-watch.ts";
import type { Foundation } from "./foundation.ts";
import type { State } from "./make-state.ts";
import { PromotionDesk } from "./promotion-desk.ts";
import { ShadowFeed } from "./shadow-feed.ts";

const minuteMs = 60_000;
/** The plugins have started by then, and what a restart cut short is not put off for long. */
const firstLookMs = 10_000;

/** What they stand on. */
type Grounds = Pick<Foundation, "clock" | "log" | "events" | "startup" | "loaded" | "replay" | "policy">;

export interface ShadowPolicies {
  shadows: Shadows;
  desk: PromotionDesk;
  /** As configured. */
  watched(): readonly Watched[];
  /** What the evidence for it was last found to be; null: nothing yet, or it needs a person. */
  judged(name: string): Judged | null;
  /** Memory was read; before the scaler acts on it. */
  onReading(usedRatio: number): void;
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
  refuse(loaded.config);
  const background = makeReplay(foundation, storage);
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
  const replay = foundation.replay ?? background?.run ?? null;
  const evidence = new EvidenceWatch({ clock, log, storage, desk, replay, watched: sound });
  const minute = every(clock, minuteMs, () => {
    feed.flush(clock.nowMs());
    safely(foundation, () => desk.check());
    // A replay takes longer than a minute, and the probation is looked after meanwhile.
    void evidence.look();
  });
  const first = clock.after(firstLookMs, () => void evidence.look());
  startup.onEnd("shadow policies", async () => {
    minute.cancel();
    first.cancel();
    await background?.close();
    feed.flush(clock.nowMs());
  });
  events.on("scaling.decision", ({ rule, actions, observed }) => {
    if (rule !== "restore" && actions.length > 0) background?.giveWay(`a decision of rule ${rule} was made`);
    // After the decision is carried out or under way: who acts does not change in the middle of it.
    if (rule === "emergency" && !observed) clock.after(1, () => safely(foundation, () => desk.check()));
  });
  return {
    shadows,
    desk,
    watched: () => watched,
    judged: (name) => evidence.judged(name),
    onReading: (usedRatio) => background?.onReading(usedRatio),
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
      refuse(config);
      watch(config);
      foundation.policy = desk.configure(policyOf(config.scaler));
      scaler?.setPolicy(foundation.policy);
      use();
    },
  };
}

function refuse(config: Config): void {
  const problems = promotionProblems(config);
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

/** Null where there is no file that another process could read: then nobody but a person promotes a shadow. */
function makeReplay(foundation: Grounds, storage: Storage): BackgroundReplay | null {
  const { clock, log, loaded } = foundation;
  const { path, inMemoryBecause } = storage.status();
  if (path !== null)
    return new BackgroundReplay({
      clock,
      selfCommand: selfCommand(process.execPath, Bun.main),
      database: path,
      settings: loaded.config,
      policy: () => foundation.policy,
    });
  const waiting = loaded.config.shadow.filter(({ promotion }) => promotion !== "manual");
  if (waiting.length > 0)
    log.warn("shadow.no_evidence", {
      shadows: waiting.map(({ name }) => name),
      because: `the record cannot be replayed, since the state is in memory: ${inMemoryBecause}`,
      remedy: "set storage.path to a file that can be written, or promote by hand",
    });
  return null;
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
