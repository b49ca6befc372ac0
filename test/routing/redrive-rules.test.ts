/** Dead letters under routing rules: they wait for, and are paced by, the platform that the rules send them to. */

import { afterEach, expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { pageLetters } from "../../src/routing/redrive-targets.ts";
import { compileRules } from "../../src/routing/rules.ts";
import { undoAll } from "../storage/scratch.ts";
import { redriving } from "./redriving.ts";

afterEach(undoAll);

const compiled = (...rules: Record<string, unknown>[]) =>
  compileRules(configSchema.parse({ routing: { rules } }).routing.rules);

const ruled = (...rules: Record<string, unknown>[]) => {
  let inForce = compiled(...rules);
  return {
    ...redriving({}, ":memory:", () => inForce),
    replaceRules: (...others: Record<string, unknown>[]) => {
      inForce = compiled(...others);
    },
  };
};

const commands = { when: { type: "command" }, to: "discord" };

test("a letter is sent when its rule's target is ready, though the platform it names is not, or is unknown", async () => {
  const { clock, dispatcher, redriver, park, get, states, handed } = ruled(commands);
  dispatcher.set("voice", { state: "shed", reason: "memory is short" });
  const command = park({ type: "command", payload: "command" });
  const strange = park({ platform: "phone", type: "command", payload: "strange" });
  const other = park({ payload: "other" });
  redriver.start();
  await clock.advance(1_000);
  expect(handed("discord")).toEqual(["command", "strange"]);
  expect(states(command, strange, other)).toEqual(["answered", "answered", "waiting"]);
  expect(get(command).stateReason).toBe("answered by discord");
  expect(handed("voice")).toEqual([]);
  await redriver.stop();
});

test("while the target is not ready it is not sent, whatever its own platform or the fallbacks are", async () => {
  const { clock, dispatcher, redriver, park, get, outcomes } = ruled({ ...commands, fallback: ["stubs"] });
  dispatcher.set("discord", { state: "disabled", reason: "disabled by hand" });
  const command = park({ type: "command" });
  const other = park({ payload: "other" });
  redriver.start();
  await clock.advance(20_000);
  expect(get(command)).toMatchObject({ state: "waiting", redrives: 0 });
  expect(get(command).attempts).toHaveLength(1);
  // Those behind it that go elsewhere are not held up.
  expect(get(other).state).toBe("answered");
  expect(outcomes()).toEqual(["answered"]);
  const byHand = await redriver.redrive(command);
  expect(byHand).toMatchObject({ code: "not-ready", reason: "discord is disabled: disabled by hand" });
  dispatcher.set("discord", { state: "ready" });
  redriver.wake("discord");
  await clock.advance(100);
  expect(get(command)).toMatchObject({ state: "answered", stateReason: "answered by discord" });
  await redriver.stop();
});

test("letters of several platforms with one target are sent one at a time, in order, at that one's rate", async () => {
  const { clock, dispatcher, redriver, park, handed } = ruled(commands);
  const times: number[] = [];
  let underWay = 0;
  let most = 0;
  const dispatch = dispatcher.dispatch.bind(dispatcher);
  dispatcher.dispatch = async (...args) => {
    times.push(clock.nowMs());
    most = Math.max(most, ++underWay);
    return dispatch(...args).finally(() => underWay--);
  };
  const platforms = ["voice", "stubs", "discord", "phone", "voice", "stubs"];
  platforms.forEach((platform, payload) => void park({ platform, type: "command", payload }));
  redriver.start();
  await clock.advance(5_000);
  expect(handed("discord")).toEqual([0, 1, 2, 3, 4, 5]);
  expect(most).toBe(1);
  for (let n = 1; n < times.length; n++)
    expect((times[n] ?? 0) - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(100);
  await redriver.stop();
});

test("one that waits behind many for another target is found, and one that comes later at once", async () => {
  const { clock, dispatcher, redriver, park, states, handed } = ruled(commands);
  dispatcher.set("voice", { state: "shed" });
  for (let n = 0; n < 3 * pageLetters + 7; n++) park({ payload: n });
  const behind = park({ type: "command" });
  redriver.start();
  await clock.advance(100);
  expect(states(behind)).toEqual(["answered"]);
  const late = park({ type: "command" });
  redriver.came(late);
  await clock.advance(150);
  expect(states(late)).toEqual(["answered"]);
  expect(handed("voice")).toEqual([]);
  await redriver.stop();
});

test("new rules hold for letters that wait already", async () => {
  const { clock, dispatcher, redriver, park, states, handed, replaceRules } = ruled(commands);
  dispatcher.set("discord", { state: "failed" });
  const id = park({ type: "command" });
  redriver.start();
  await clock.advance(6_000);
  expect(states(id)).toEqual(["waiting"]);
  replaceRules({ ...commands, to: "stubs" });
  await clock.advance(6_000);
  expect(states(id)).toEqual(["answered"]);
  expect(handed("stubs")).toHaveLength(1);
  replaceRules();
  const plain = park({ type: "command" });
  await clock.advance(6_000);
  expect(states(plain)).toEqual(["answered"]);
  expect(handed("voice")).toHaveLength(1);
  await redriver.stop();
});
