import { expect, test } from "bun:test";
import { join } from "node:path";
import { execPlugin, fixtures, harness } from "./harness.ts";

const small = (name: string) => execPlugin(name, ["sh", join(fixtures, "small.sh")]);

test("where there is no room for all, the plugins that are shed last are started first", async () => {
  const asked: string[] = [];
  const open = await harness(
    { android: small("android"), extra: small("extra"), stubs: small("stubs"), voice: small("voice") },
    {
      order: ["voice", "android", "stubs"],
      mayStart: (plugin) => {
        asked.push(plugin);
        return asked.length <= 2 ? { ok: true } : { ok: false, reason: "there is no room" };
      },
    },
  );
  try {
    await open.manager.startAll();
    // Those that wait ask again every two seconds.
    expect(asked.slice(0, 4)).toEqual(["stubs", "android", "voice", "extra"]);
    expect(open.manager.list().map(({ name, state }) => `${name} ${state}`)).toEqual([
      "android ready",
      "extra discovered",
      "stubs ready",
      "voice discovered",
    ]);
  } finally {
    await open.end();
  }
});
