/** Plugins that misbehave, all at once: conductor answers promptly, stays small, and says of each what it does. */

import { describe, expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { descendantsOf, processesIn, pssBytes } from "./processes.ts";
import { echoFiles, rogueManifest } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;

const config = `
health: { interval: 200ms, timeout: 300ms, failures: 2 }
plugins: { grace: 500ms, startTimeout: 3s }
scaler: { order: [crasher, good] }
`;
const quickly = "recovery: { backoff: { initial: 100ms, max: 200ms }, maxRestarts: 2 per 1m }\n";

const files = {
  ...echoFiles("good"),
  "plugins/crasher/plugin.yaml": rogueManifest("crasher", [], "recovery: { restart: never }\n"),
  "plugins/stillborn/plugin.yaml": rogueManifest("stillborn", ["exit-in-initialize"], quickly),
  "plugins/hanger/plugin.yaml": rogueManifest("hanger", ["hang-in-health"]),
  "plugins/babbler/plugin.yaml": rogueManifest("babbler", ["garbage"]),
  "plugins/liar/plugin.yaml": rogueManifest("liar", ["bad-health"]),
  "plugins/flooder/plugin.yaml": rogueManifest("flooder", []),
  "plugins/forker/plugin.yaml": rogueManifest("forker", ["fork", "daemon"]),
  "plugins/stubborn/plugin.yaml": rogueManifest("stubborn", ["ignore-term", "slow-shutdown"]),
  "plugins/absent/plugin.yaml": "name: absent\nversion: 1.0.0\nruntime: bun\nentry: ../outside.ts\n",
};

/** Answers a request after a megabyte of short lines, and with it five answers to nothing. */
const mixer = `
import json, sys
for line in sys.stdin:
    call = json.loads(line)
    answer = lambda id, result: json.dumps({"jsonrpc": "2.0", "id": id, "result": result}) + "\\n"
    if call["method"] == "handle_request":
        sys.stdout.write("x\\n" * (1 << 19) + answer(call["id"], "among them") + answer(987654, 0) * 5)
    else:
        sys.stdout.write(answer(call["id"], {"ok": True, "status": "healthy"}))
    sys.stdout.flush()
`;

/** Watches conductor from outside until `stop`: how long /healthz took, and its own memory. */
function watch(conductor: RunningConductor) {
  let running = true;
  const answersMs: number[] = [];
  let largestBytes = 0;
  const asking = (async () => {
    while (running) {
      const beginMs = performance.now();
      const response = await fetch(conductor.url("/healthz"));
      await response.text();
      answersMs.push(response.status === 200 ? performance.now() - beginMs : Number.POSITIVE_INFINITY);
      largestBytes = Math.max(largestBytes, pssBytes(conductor.pid));
      await Bun.sleep(10);
    }
  })();
  // Also where the test fails: the conductor is about to be ended.
  defer(async () => {
    running = false;
    await asking;
  });
  return {
    stop: async () => {
      running = false;
      await asking;
      answersMs.sort((a, b) => a - b);
      const at = (share: number) => answersMs[Math.floor(share * (answersMs.length - 1))] ?? Number.NaN;
      return { asked: answersMs.length, medianMs: at(0.5), slowestMs: at(1), largestBytes };
    },
  };
}

async function start(): Promise<RunningConductor> {
  const conductor = await RunningConductor.start({ config, files });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

const platform = async (conductor: RunningConductor, name: string) =>
  (await conductor.platforms()).find((each) => each.platform === name);

describe("among plugins that misbehave", () => {
  test("each is reported as what it is, the good one answers, and /healthz is prompt throughout", async () => {
    const conductor = await start();
    const watched = watch(conductor);

    const crash = await conductor.request("crasher", 1, "crash");
    expect(crash.body).toMatchObject({ degraded: true, plugin: "good" });
    const crasher = await until("the crash is seen", 2_000, async () => {
      const view = await conductor.plugin("crasher");
      return view.state === "failed" ? view : null;
    });
    expect(crasher.reason).toContain("exited with code 7");
    expect(crasher.reason).toContain("last words: about to fail");
    expect(crasher.lastExit).toMatchObject({ exitCode: 7, signal: null });
    const stillborn = await until("it is in a crash loop", 5_000, async () => {
      const view = await conductor.plugin("stillborn");
      return view.state === "crash-loop" ? view : null;
    });
    expect(stillborn.reason).toContain("no configuration");
    expect(stillborn.restarts).toBe(2);

    const hanger = await until("the hanging check is seen", 5_000, async () => {
      const health = await platform(conductor, "hanger");
      return health?.status === "failed" ? health : null;
    });
    expect(hanger.detail).toMatch(/no answer to the health check within 3\d\d ms/);
    const liar = await until("the bad answer is seen", 5_000, async () => {
      const health = await platform(conductor, "liar");
      return health?.status === "failed" ? health : null;
    });
    expect(liar.detail).toContain("great");

    const { output } = await conductor.plugin("babbler");
    expect(output.garbageMessages).toBe(3);
    expect(output.garbage).not.toBeNull();
    const absent = await conductor.plugin("absent");
    expect([absent.state, absent.reason]).toEqual([
      "invalid",
      expect.stringContaining("leaves the plugin's folder"),
    ]);

    const good = await conductor.request("good", { text: "still here" });
    expect([good.status, good.body.degraded, good.body.result]).toEqual([
      200,
      false,
      { echo: { text: "still here" } },
    ]);
    const seen = await watched.stop();
    expect(seen.medianMs).toBeLessThan(50);
    expect(seen.slowestMs).toBeLessThan(1_000);
    expect(conductor.process.exitCode).toBeNull();

    const family = [...descendantsOf(conductor.pid), ...processesIn(conductor.folder)];
    const beginMs = performance.now();
    expect(await conductor.terminate()).toBe(0);
    expect(performance.now() - beginMs).toBeLessThan(10_000);
    expect(processesIn(conductor.folder)).toEqual([]);
    expect(family.length).toBeGreaterThan(8);
  }, 40_000);

  test.each([
    ["flood", "200 MB on one line"],
    ["flood-lines", "200 MB of short lines"],
    ["flood-stderr", "200 MB of log"],
    ["flood-json", "50 MB of answers nobody asked for"],
  ])(
    "%s: %s, and conductor stays under 80 MB and answers",
    async (type) => {
      const conductor = await start();
      const watched = watch(conductor);
      const answer = await conductor.request("flooder", "after the flood", type);
      const seen = await watched.stop();
      console.log(
        `${type}: ${(seen.largestBytes / MiB).toFixed(0)} MiB at most, /healthz ${seen.medianMs.toFixed(1)} ms median, ${seen.slowestMs.toFixed(0)} ms slowest of ${seen.asked}`,
      );
      expect(seen.largestBytes).toBeLessThan(80 * MiB);
      expect(seen.slowestMs).toBeLessThan(1_000);
      expect([answer.status, answer.body.result]).toEqual([200, { echo: "after the flood" }]);
      const { output } = await conductor.plugin("flooder");
      expect(output.droppedBytes).toBeGreaterThan(40e6);
      expect((await conductor.request("good", 1)).body.degraded).toBe(false);
      // A burst of 256 KiB at 64 bytes a line, and 1,000 lines a second after it.
      expect(conductor.lines.length).toBeLessThan(10_000);
    },
    40_000,
  );

  test("an answer that comes between a flood and other answers arrives", async () => {
    const conductor = await RunningConductor.start({
      config,
      files: {
        ...echoFiles("good"),
        "plugins/mixer/plugin.yaml":
          "name: mixer\nversion: 1.0.0\nruntime: exec\ncommand: [python3, mixer.py]\nlimits: { requestTimeout: 2s }\n",
        "plugins/mixer/mixer.py": mixer,
      },
    });
    defer(() => conductor.remove());
    defer(() => conductor.kill());
    expect((await conductor.request("mixer", 1)).body).toMatchObject({
      plugin: "mixer",
      result: "among them",
    });
  }, 20_000);
});
