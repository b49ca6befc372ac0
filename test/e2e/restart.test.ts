/** What survives the end of the process: history, forecast, decisions, token. */

import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const base = `budget: { memory: ${roomyBudget()} }\n${quick}`;
const order = ["web", "stubs"];

interface Memory {
  points: number;
  state: string;
}
interface Decision {
  id: number;
  rule: string;
  at: string;
  reason: string;
  outcome: string;
  actions: { kind: string; plugin: string }[];
}

const decisionsOf = async (conductor: RunningConductor) =>
  (await conductor.get<{ decisions: Decision[] }>("/api/v1/scaling/decisions")).decisions;
const forecastOf = async (conductor: RunningConductor) =>
  (await conductor.get<{ memory: Memory | null }>("/api/v1/forecast")).memory;
const historyOf = async (conductor: RunningConductor) =>
  (await conductor.get<{ samples: { at: string }[] }>("/api/v1/resources/history")).samples;

/** What the second run goes on with: the first one's state when that could be saved, else what is stored. */
const remembered: Record<string, { event: string; facts: Record<string, unknown> }> = {
  TERM: { event: "forecast.state_restored", facts: { level: "info" } },
  KILL: { event: "forecast.trained", facts: { trigger: "start", adopted: true } },
};

describe.each([
  ["TERM", (conductor: RunningConductor) => conductor.terminate()],
  ["KILL", (conductor: RunningConductor) => conductor.kill()],
])("after a %s and a new start", (signal, end) => {
  test("history and forecast go on, decisions are kept, and the token is the same file", async () => {
    const first = await RunningConductor.start({
      config: base + calm,
      files: { ...echoFiles("web"), ...echoFiles("stubs") },
    });
    defer(() => first.remove());
    defer(() => first.kill());
    const { folder, token } = first;
    expect(token.length).toBeGreaterThanOrEqual(43);
    expect(statSync(join(folder, "state/token")).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "state/conductor.db")).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(first.lines)).not.toContain(token);

    first.reload(base + (await pressing(first, order)));
    await until("web is shed", 5_000, async () => (await first.states()).web === "shed");
    first.reload(base + calm);
    await until("web is back", 10_000, async () => (await first.states()).web === "ready");
    await until(
      "the forecast is no longer cold",
      10_000,
      async () => (await forecastOf(first))?.state === "ready",
    );
    await until("both outcomes are written", 2_000, async () =>
      (await decisionsOf(first)).every(({ outcome }) => outcome !== "pending"),
    );
    const before = await decisionsOf(first);
    expect(before.map(({ rule }) => rule)).toEqual(["restore", "hold", "threshold"]);
    const history = await historyOf(first);
    await end(first);

    const restartedAt = new Date().toISOString();
    const second = await RunningConductor.start({ folder, until: "listening" });
    defer(() => second.kill());
    const warmed = (await historyOf(second)).filter(({ at }) => at < restartedAt);
    expect(warmed.length).toBeGreaterThanOrEqual(Math.min(60, history.length));
    expect(warmed.slice(-history.length).map(({ at }) => at)).toContain(history.at(-1)?.at ?? "none");
    const forecast = await forecastOf(second);
    expect(forecast?.state).toBe("ready");
    expect(forecast?.points).toBeGreaterThanOrEqual(10);
    const { event, facts } = remembered[signal] as { event: string; facts: Record<string, unknown> };
    const [learned] = await until("what was learned is there again", 5_000, () => {
      const lines = second.logged(event);
      return lines.length > 0 ? lines : null;
    });
    expect(learned).toMatchObject(facts);
    const after = await decisionsOf(second);
    expect(after.filter(({ id }) => before.some((each) => each.id === id))).toEqual(before);
    expect(second.token).toBe(token);
    const answer = await second.post("/api/v1/plugins/web/restart", {}, { Authorization: `Bearer ${token}` });
    expect(answer.status).toBe(200);
  }, 40_000);
});
