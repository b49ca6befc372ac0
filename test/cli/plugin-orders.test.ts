/** plugins reload, rollback, scale: what is sent to the conductor, and what is shown of its answer. */

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";

const defer = cleanUpAfterEach();
let asked: string[] = [];
let notes: string[] | undefined;
let server: Bun.Server<undefined>;

/** A conductor in so far as it takes orders and tells them. */
beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const type = request.headers.get("content-type") ?? "no type";
      const { pathname } = new URL(request.url);
      asked.push(`${request.method} ${pathname} ${type} ${await request.text()}`);
      asked.push(request.headers.get("authorization") ?? "no token");
      const plugin = { name: "voice", version: "1.1.0", runtime: "bun", state: "ready", reason: "reloaded" };
      const more = { instances: { shortfall: null }, problem: null, unenforced: [] };
      return Response.json({ ...plugin, restarts: 0, pids: [7, 8], footprint: null, ...more, notes });
    },
  });
});
afterAll(() => server.stop(true));
beforeEach(() => {
  asked = [];
  notes = undefined;
});

const ask = (...args: string[]) =>
  conductor(["plugins", ...args, "--port", String(server.port)], {
    cwd: scratchFolder(defer),
    environment: { CONDUCTOR_TOKEN: "a-token-0123456789" },
  });

test.each([
  [["reload", "voice"], "POST /api/v1/plugins/voice/reload no type "],
  [["rollback", "voice"], "POST /api/v1/plugins/voice/rollback no type "],
  [["scale", "voice", "2"], 'POST /api/v1/plugins/voice/scale application/json {"instances":2}'],
  [["reload", "../x"], "POST /api/v1/plugins/..%2Fx/reload no type "],
])("%j is sent with the token, and the plugin is shown as it is then", async (args, sent) => {
  const { code, out, err } = await ask(...args);
  expect([code, err]).toEqual([0, ""]);
  expect(asked).toEqual([sent, "Bearer a-token-0123456789"]);
  expect(out).toMatch(/^NAME .*\nvoice +1\.1\.0 +bun +ready +- +0 +7 8 +reloaded\n$/);
});

test("notes follow the table, and are part of the JSON", async () => {
  notes = ["stopped first: there was no room for both", "version 1.0.0 is kept"];
  expect((await ask("reload", "voice")).out).toEndWith(
    "note: stopped first: there was no room for both\nnote: version 1.0.0 is kept\n",
  );
  expect(JSON.parse((await ask("reload", "voice", "-o", "json")).out)).toMatchObject({
    name: "voice",
    notes,
  });
});

test.each([
  [["scale", "voice"], "scale: expected the number of its processes, from 1 to 64"],
  [["scale", "voice", "0"], "COUNT: 0: expected a whole number from 1 to 64"],
  [["scale", "voice", "65"], "COUNT: 65: expected a whole number from 1 to 64"],
  [["scale", "voice", "two"], "COUNT: two: expected a whole number from 1 to 64"],
  [["scale", "voice", "2", "3"], "3: unexpected argument; usage: conductor plugins scale NAME COUNT"],
  [["reload"], "reload: expected the name of a plugin"],
  [["rollback", "voice", "now"], "now: unexpected argument; usage: conductor plugins rollback NAME"],
  [["reload", "voice", "--runtime", "bun"], "--runtime: only with plugins new"],
  [["relaod", "voice"], 'relaod: did you mean "reload"?'],
])("%j is wrong usage, and nothing is sent", async (args, line) => {
  const { code, out, err } = await ask(...args);
  expect([code, out, err, asked]).toEqual([2, "", `conductor: ${line}\n`, []]);
});
