/** A plugin of the executable as it ships is kept from conductor's state and configuration, and can write to its own data. */

import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PermissionsEnforced } from "../../src/plugins/enforcement.ts";
import { proberPlugin } from "../plugins/managed.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;

test.each(["exec", "bun"] as const)(
  "a plugin with runtime %s reads neither token, database nor configuration",
  async (runtime) => {
    const folder = mkdtempSync(join(tmpdir(), "conductor-e2e-"));
    // So that a user of the plugin's own can get to it.
    chmodSync(folder, 0o755);
    const files = Object.fromEntries(
      Object.entries(proberPlugin("bot", runtime)).map(([name, text]) => [`plugins/bot/${name}`, text]),
    );
    const conductor = await RunningConductor.start({
      folder,
      files,
      config: "plugins: { config: { bot: { secret: hunter2 } } }\n",
      environment: { PATH: "/usr/bin:/bin" },
    });
    defer(() => conductor.remove());
    defer(() => conductor.kill());
    const view = await conductor.get<{ permissions: PermissionsEnforced; unenforced: string[] }>(
      "/api/v1/plugins/bot",
    );
    expect(view.unenforced).toEqual([]);
    expect(view.permissions.files.mechanism).toStartWith("Landlock (ABI ");
    const hidden = ["state/token", "state/conductor.db", "conductor.yaml"].map((path) => [
      "read",
      join(folder, path),
    ]);
    const data = join(folder, "state/plugin-data/bot");
    const { body } = await conductor.request("bot", [
      ...hidden,
      ["read", `/proc/${conductor.pid}/environ`],
      ["kill", conductor.pid],
      ["write", join(data, "kept")],
      ["read", join(folder, "plugins/bot/plugin.yaml")],
    ]);
    expect(body.result).toEqual(["EACCES", "EACCES", "EACCES", "EACCES", "EPERM", "ok", "ok"]);
    if (isRoot) {
      expect(view.permissions.user.mechanism).toBe(`uid ${statSync(data).uid}`);
      // Its user gets through, and nobody can look around on the way.
      expect(statSync(join(folder, "state")).mode & 0o777).toBe(0o701);
      expect(statSync(join(folder, "state/conductor.db")).mode & 0o777).toBe(0o600);
    }
    expect(await conductor.terminate()).toBe(0);
  },
);
