/** `conductor models` of the executable, against the real interface over real models. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { ModelServingHost } from "../http/model-serving.ts";
import { token } from "../http/served.ts";

const defer = cleanUpAfterEach();
let host: ModelServingHost;

beforeAll(async () => {
  host = new ModelServingHost();
  await host.open();
  await host.run(1);
});
afterAll(() => host.end());

const ask = (args: string[], CONDUCTOR_TOKEN = token) =>
  conductor(["models", ...args, "--port", String(host.http.port)], {
    cwd: scratchFolder(defer),
    environment: { CONDUCTOR_TOKEN },
  });

test("lists them, for people and for programs", async () => {
  const { code, out, err } = await ask([]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^NAME +STATE +MEMORY +CONTEXT +TOKENS\/S +FIRST TEXT +FAILED +WHY\n/);
  expect(out).toMatch(/\nlarge +answers +\(400 MiB\) +4096 +- +- +-\n/);
  expect(out).toMatch(/\nsmall +unloaded +\(100 MiB\) +2048 +- +- +- +is not needed: large answers\n/);
  expect(out).toEndWith("\nswitches    0\n");
  const json = await ask(["-o", "json"]);
  expect(JSON.parse(json.out)).toMatchObject({ answering: "large", models: [{ name: "large" }, {}] });
});

test("gives orders, and shows the model as it is then", async () => {
  const pinned = await ask(["pin", "small"]);
  expect([pinned.code, pinned.out]).toEqual([
    0,
    expect.stringMatching(/\nsmall +(loading|answers|ready), pinned /),
  ]);
  await host.run(30);
  expect(host.ready).toBe("small");
  expect((await ask(["unpin", "small"])).code).toBe(0);
  await host.run(300);
  expect(host.ready).toBe("large");
  expect((await ask(["unload", "large"])).out).toMatch(/\nlarge +unloading, leaving /);
  await host.run(30);
  expect((await ask(["load", "large", "-o", "json"])).code).toBe(0);
  await host.manager.settled();
  expect(host.ready).toBe("large small");
});

test("says why an order was refused", async () => {
  const refused = await ask(["load", "small"], "a-wrong-token-0123456789");
  expect([refused.code, refused.err]).toEqual([
    1,
    expect.stringContaining("needs the administrator's token"),
  ]);
  const unknown = await ask(["load", "huge"]);
  expect([unknown.code, unknown.err]).toEqual([
    1,
    'conductor: There is no such model: none is called "huge"; known: large, small\n',
  ]);
});
