/** `ladder` in `conductor.yaml`: when a local model gives way to a smaller one, and when a better one comes back. */

import * as z from "zod";
import { count, duration, ratio } from "./quantities.ts";

const mostMs = 86_400_000;

/** The moments of a change; the lines stand in the order in which memory passes them. */
export const ladder = z
  .strictObject({
    stepDown: ratio()
      .prefault("80%")
      .describe("A model gives way at this share of the budget, measured or forecast"),
    lastStepDown: ratio()
      .prefault("93%")
      .describe("The same for the last model of several: after it nobody answers"),
    emergency: ratio()
      .prefault("95%")
      .describe("At this measured share answers are cut and models end at once"),
    hysteresis: ratio()
      .prefault("5%")
      .describe("So far under its line the use must stay for a model to be loaded"),
    calm: duration(0, mostMs, "0s to 1d").prefault("5m").describe("Calm before a better model is taken"),
    service: duration(0, mostMs, "0s to 1d")
      .prefault("1m")
      .describe("After the last model was given up, until it may come back"),
    settle: duration(0, 600_000, "0s to 10m")
      .prefault("10s")
      .describe("After a change, until memory is measured as it will be"),
    justLoaded: duration(0, mostMs, "0s to 1d")
      .prefault("30s")
      .describe("A model is not given up sooner after its load, short of an emergency"),
    leastContext: count(1, 2_000_000).default(1_024).describe("A context is not cut under so many tokens"),
    failing: ratio().prefault("50%").describe("From this share of failed answers on, a model gives way"),
    finish: duration(0, 600_000, "0s to 10m")
      .prefault("30s")
      .describe("Plugins are not shed for so long while a model gives back enough, short of an emergency"),
    putOff: z
      .strictObject({
        initial: duration(1, mostMs, "1ms to 1d").prefault("5m").describe("After the first failed load"),
        max: duration(1, mostMs, "1ms to 1d").prefault("2h").describe("Each time twice as long, up to this"),
        relapse: duration(0, mostMs, "0s to 1d")
          .prefault("10m")
          .describe("Given up again within so long, it brought the pressure back"),
      })
      .prefault({})
      .describe("A model that fails to load, or brings the pressure back, stays away"),
  })
  .prefault({})
  .superRefine((value, context) => {
    const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if (value.stepDown > value.lastStepDown) refuse(["stepDown"], "expected at most ladder.lastStepDown");
    if (value.lastStepDown >= value.emergency)
      refuse(["lastStepDown"], "expected less than ladder.emergency");
    if (value.hysteresis >= value.stepDown) refuse(["hysteresis"], "expected less than ladder.stepDown");
    if (value.putOff.initial > value.putOff.max)
      refuse(["putOff", "initial"], "expected at most ladder.putOff.max");
  });

export type LadderSettings = z.output<typeof ladder>;
