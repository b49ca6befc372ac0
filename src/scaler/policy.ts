/** A policy from its settings. */

import type { PolicySettings } from "../config/scaler-schema.ts";
import type { Policy } from "./situation.ts";

/** What `decide` goes by; percent where `Policy` says so. */
export const policyOf = ({ policy, putOff, triggers, ...rest }: PolicySettings): Policy => ({
  kind: policy,
  order: rest.order,
  shedRatio: rest.shed,
  restoreRatio: rest.restore,
  emergencyRatio: rest.emergency,
  marginRatio: rest.margin,
  dwellMs: rest.dwell,
  victims: rest.victims,
  putOff: { initialMs: putOff.initial, mostMs: putOff.max, relapseMs: putOff.relapse },
  triggers: {
    stallPercent: triggers.stall * 100,
    loadPerSecond: triggers.load ?? null,
    spike: triggers.spike,
    timeOfDay: triggers.timeOfDay,
  },
});
