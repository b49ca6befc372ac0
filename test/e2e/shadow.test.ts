/** A shadow policy from watching to acting and back, with the conductor killed in between. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { conductor as command } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const order = ["web", "stubs"];

interface Listed {
  acting: { promoted: { shadow: string; who: string | null } | null };
  shadows: { name: string; acts: boolean; latest: { rule: string; actingRule: string }[] }[];
}

const listed = (conductor: RunningConductor) => conductor.get<Listed>("/api/v1/scaling/shadows");

test("watched, promoted, killed, still acting, rolled back, killed, still back", async () => {
  const base = `budget: { memory: ${roomyBudget()} }\n${quick}${calm.replace("}", `, order: [${order.join(", ")}] }`)}`;
  const first = await RunningConductor.start({
    config: base,
    files: { ...echoFiles("web"), ...echoFiles("stubs") },
  });
  defer(() => first.remove());
  defer(() => first.kill());
  const { folder } = first;
  const ask = (conductor: RunningConductor, ...args: string[]) =>
    command([...args, "--port", conductor.port], {
      cwd: folder,
      environment: { STATE_DIRECTORY: join(folder, "state"), USER: "anna" },
    });

  const early = (await pressing(first, order)).replace(/^scaler: \{|\}\n$/g, "").replaceAll(", ", "\n");
  writeFileSync(
    join(folder, "early.yaml"),
    early.replace(/\[web\nstubs\]/, "[web, stubs]").replace(/^ +/gm, ""),
  );
  first.reload(`${base}shadow: [{ name: early, file: early.yaml }]\n`);
  await until("it differs", 10_000, async () => (await listed(first)).shadows[0]?.latest[0]);
  expect((await listed(first)).shadows[0]?.latest).toMatchObject([{ rule: "threshold", actingRule: "hold" }]);
  expect(await first.states()).toEqual({ web: "ready", stubs: "ready" });
  const before = await ask(first, "shadow");
  expect(before.out).toMatch(
    /^acting +the configured policy \(scaler\)\n\nNAME .*\nearly +differs .* web 1 +-\n$/,
  );
  const compared = await ask(first, "shadow", "compare", "--since", "1h");
  expect(compared.out).toMatch(
    /otherwise +shed web 1\n\n +IT SAID +ACTING SAID +TIMES\n +threshold +hold +1\n/,
  );
  expect(compared.out).toContain("regret     not known: too little is recorded");

  const promoted = await ask(first, "shadow", "promote", "early", "--reason", "to see it");
  expect([promoted.code, promoted.out]).toEqual([0, expect.stringContaining("acting    shadow early since")]);
  await until("web is shed", 10_000, async () => (await first.states()).web === "shed");
  await first.kill();

  const second = await RunningConductor.start({ folder, until: "listening" });
  defer(() => second.kill());
  expect((await listed(second)).acting.promoted).toMatchObject({ shadow: "early", who: "anna" });
  expect(second.logged("scaler.policy_overridden")).toMatchObject([{ shadow: "early", reason: "to see it" }]);
  expect((await ask(second, "status")).out).toMatch(/^policy +shadow early since .*, in place of scaler$/m);
  await until("web is kept down or shed again", 20_000, async () => (await second.states()).web !== "ready");
  const rolledBack = await ask(second, "shadow", "rollback");
  expect(rolledBack.out).toContain("acting    the configured policy (scaler)");
  await until("web is back", 20_000, async () => (await second.states()).web === "ready");
  await second.kill();

  const third = await RunningConductor.start({ folder });
  defer(() => third.kill());
  expect((await listed(third)).acting.promoted).toBeNull();
  expect(third.logged("scaler.policy_overridden")).toEqual([]);
  const { decisions } = await third.get<{ decisions: { id: number; rule: string }[] }>(
    "/api/v1/scaling/decisions?limit=500",
  );
  const change = decisions.find(({ rule }) => rule === "promoted");
  expect((await ask(third, "why", String(change?.id))).out).toContain(
    "the shadow policy early acts in place of the configured one, ordered by anna: to see it.",
  );
}, 90_000);
