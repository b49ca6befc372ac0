/** What is done after a failure, beside waiting. */

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, execPlugin, fixtures, type Harness, harness, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 5_000 };
const failing = (reset: string) => ({
  ...execPlugin(
    "bot",
    ["sh", join(fixtures, "small.sh")],
    `permissions: { write: [notes] }\nrecovery: { backoff: { initial: 20ms }, reset: [./reset.sh] }\n`,
  ),
  "reset.sh": `#!/bin/sh\n${reset}\n`,
});

describe("recovery.reset", () => {
  test("runs before each restart after a failure, as the plugin itself, and not at the first start", async () => {
    open = await harness({ bot: failing("echo $CONDUCTOR_PLUGIN >> notes/resets; echo the port is free") });
    const { manager, root } = open;
    const notes = join(root, "bot/notes/resets");
    await manager.startAll();
    expect(existsSync(notes)).toBe(false);
    for (let crash = 1; crash <= 2; crash++) {
      await manager.dispatch("bot", request("exit-1"), soon);
      await eventually(
        () => manager.view("bot")?.restarts === crash && manager.view("bot")?.state === "ready",
      );
      expect(readFileSync(notes, "utf8")).toBe("bot\n".repeat(crash));
    }
  });

  test("that fails does not keep it from being restarted", async () => {
    open = await harness({ bot: failing("echo no such device >&2; exit 3") });
    const { manager } = open;
    await manager.startAll();
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => manager.view("bot")?.restarts === 1 && manager.view("bot")?.state === "ready");
  });

  test("under way when the plugin is stopped leaves it stopped", async () => {
    open = await harness({ bot: failing("echo begun > notes/begun; sleep 0.4") });
    const { manager, root } = open;
    await manager.startAll();
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => existsSync(join(root, "bot/notes/begun")));
    await manager.disable("bot");
    const beganMs = performance.now();
    await eventually(() => performance.now() - beganMs > 600);
    expect(manager.view("bot")).toMatchObject({ state: "disabled", restarts: 0, pids: [] });
  });
});
