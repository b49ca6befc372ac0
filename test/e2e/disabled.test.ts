/** What an administrator disabled stays so: across a SIGKILL, a restart, and the coming and going of its folder. */

import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { conductor as command } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const config = "plugins: { bundled: false }\n";
const disabledAt = /^disabled by an administrator at (20\d\d-\d\d-\d\dT\S+Z)$/;

async function started(options: Parameters<typeof RunningConductor.start>[0]): Promise<RunningConductor> {
  const running = await RunningConductor.start(options);
  defer(() => running.kill());
  return running;
}

const order = async (running: RunningConductor, path: string) => {
  const response = await running.post(path, {}, { Authorization: `Bearer ${running.token}` });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const orderPlugin = (running: RunningConductor, name: string, what: "enable" | "disable") =>
  order(running, `/api/v1/plugins/${name}/${what}`);

test("across SIGKILL and restart, lazy or eager, until it is enabled; what requires it waits", async () => {
  const files = {
    ...echoFiles("eager"),
    ...echoFiles("lazy", "start: lazy\n"),
    ...echoFiles("above", "requires: [eager]\n"),
  };
  const first = await started({ config, files });
  defer(() => first.remove());
  const { folder } = first;
  const { body } = await orderPlugin(first, "eager", "disable");
  expect(body).not.toHaveProperty("notes");
  expect((await orderPlugin(first, "lazy", "disable")).status).toBe(200);
  const { reason } = await first.plugin("eager");
  expect(reason).toMatch(disabledAt);
  await first.kill();

  const second = await started({ config, folder, until: "listening" });
  // From the first answer on, before any plugin is started.
  expect((await second.request("lazy", 1)).body.code).toBe("plugin_disabled");
  await until("all has started", 10_000, async () => (await fetch(second.url("/readyz"))).status === 200);
  const eager = await second.plugin("eager");
  expect(eager).toMatchObject({ state: "disabled", reason, pids: [], restarts: 0 });
  expect((await second.request("eager", 1)).body.code).toBe("plugin_disabled");
  expect((await second.plugin("above")).state).toBe("blocked");
  expect((await order(second, "/api/v1/plugins/eager/restart")).status).toBe(409);
  expect((await orderPlugin(second, "eager", "enable")).status).toBe(200);
  expect((await second.request("eager", 2)).body.result).toEqual({ echo: 2 });
  await until("what requires it runs", 5_000, async () => (await second.states()).above === "ready");
  await second.kill();

  const third = await started({ config, folder });
  expect(await third.states()).toMatchObject({ eager: "ready", above: "ready", lazy: "disabled" });
  expect(await third.terminate()).toBe(0);
}, 30_000);

test("while its folder is gone for a time; only a start without it forgets it", async () => {
  const first = await started({ config, files: { ...echoFiles("echo"), ...echoFiles("other") } });
  defer(() => first.remove());
  const { folder } = first;
  const environment = { PATH: process.env.PATH ?? "", STATE_DIRECTORY: join(folder, "state") };
  const ordered = await command(["plugins", "disable", "echo"], {
    cwd: folder,
    environment: { ...environment, CONDUCTOR_HTTP_PORT: first.port },
  });
  expect(ordered.code).toBe(0);
  const [inside, aside] = [join(folder, "plugins/echo"), join(folder, "aside")];
  renameSync(inside, aside);
  await until("it is gone", 15_000, async () => !("echo" in (await first.states())));
  renameSync(aside, inside);
  await until("it is back", 15_000, async () => (await first.states()).echo === "disabled");
  expect((await first.plugin("echo")).reason).toMatch(disabledAt);
  await first.kill();

  renameSync(inside, aside);
  const second = await started({ config, folder });
  expect(second.logged("plugin.disabled_forgotten")).toMatchObject([{ plugin: "echo" }]);
  renameSync(aside, inside);
  await until("it is back and runs", 15_000, async () => (await second.states()).echo === "ready");
  expect(await second.terminate()).toBe(0);
}, 60_000);

test("enabling one that is gone forgets it", async () => {
  const first = await started({ config, files: { ...echoFiles("echo"), ...echoFiles("other") } });
  defer(() => first.remove());
  await orderPlugin(first, "echo", "disable");
  const [inside, aside] = [join(first.folder, "plugins/echo"), join(first.folder, "aside")];
  renameSync(inside, aside);
  await until("it is gone", 15_000, async () => !("echo" in (await first.states())));
  expect((await orderPlugin(first, "echo", "enable")).status).toBe(404);
  renameSync(aside, inside);
  await until("it is back and runs", 15_000, async () => (await first.states()).echo === "ready");
}, 40_000);

test("with the state in memory it holds for the run, and nothing is said of it", async () => {
  const inMemory = `${config}storage: { path: ":memory:" }\n`;
  const environment = { CONDUCTOR_TOKEN: "a-token-of-this-test-0123456789abcdef" };
  const first = await started({ config: inMemory, files: echoFiles("echo"), environment });
  defer(() => first.remove());
  const headers = { Authorization: `Bearer ${environment.CONDUCTOR_TOKEN}` };
  const response = await first.post("/api/v1/plugins/echo/disable", {}, headers);
  expect(response.status).toBe(200);
  const body = (await response.json()) as { reason: string };
  expect(body.reason).toMatch(disabledAt);
  expect(body).not.toHaveProperty("notes");
  expect(first.logged("plugin.order_not_kept")).toEqual([]);
  await first.kill();
  const second = await started({ folder: first.folder, environment });
  expect(await second.states()).toMatchObject({ echo: "ready" });
}, 30_000);
