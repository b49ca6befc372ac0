/** What a plugin may do, by the kernel's word: tried by a plugin of either runtime, under root and an ordinary user. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { firstPluginUser } from "../../src/plugins/launch/plugin-user.ts";
import { eventually } from "./harness.ts";
import { compileManager, isRoot, type Managed, nobody, proberPlugin, startManaged } from "./managed.ts";

let compiled: Awaited<ReturnType<typeof compileManager>>;
let tcp: Bun.TCPSocketListener;
let udp: Bun.udp.Socket<"buffer">;
let datagrams = 0;
let open: Managed | null = null;

beforeAll(async () => {
  compiled = await compileManager();
  tcp = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  udp = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data: () => void datagrams++ } });
}, 120_000);
afterAll(() => {
  tcp.stop(true);
  udp.close();
  compiled.remove();
});
afterEach(async () => {
  await open?.end();
  open = null;
});

const start = async (
  as: "root" | "user",
  plugins: Record<string, Record<string, string>>,
  more: { withhold?: ("landlock" | "network namespace")[]; closed?: boolean } = {},
): Promise<Managed> => {
  open = await startManaged({ executable: compiled.executable, as, plugins, ...more });
  return open;
};

const networkProbes = () => [
  ["tcp", "127.0.0.1", tcp.port],
  ["udp", "127.0.0.1", udp.port],
  ["resolve", "example.invalid"],
  ["unix"],
];

const cases = [
  ...(["exec", "bun"] as const).flatMap((runtime) =>
    (isRoot ? (["root", "user"] as const) : (["user"] as const)).map((as) => [runtime, as] as const),
  ),
];

describe.each(cases)("a plugin with runtime %s of a conductor run by %s", (runtime, as) => {
  test("that was granted nothing has no network, no secrets, and writes to its data folder only", async () => {
    const managed = await start(as, { bot: proberPlugin("bot", runtime) });
    const { base, pid } = managed;
    const view = managed.view("bot");
    expect(view).toMatchObject({ state: "ready", unenforced: [] });
    expect(view.permissions).toMatchObject({
      env: { mechanism: "clean environment", reason: null },
      net: { mechanism: as === "root" ? "network namespace" : "seccomp", reason: null },
      files: { mechanism: expect.stringContaining("Landlock (ABI "), reason: null },
      privileges: { mechanism: "no_new_privs", reason: null },
    });
    const before = datagrams;
    const [connected, sent, , unix] = await managed.probe("bot", networkProbes());
    expect(connected).toBe(as === "root" ? "ECONNREFUSED" : "EACCES");
    if (as === "user") expect(sent).toBe("EACCES");
    expect(unix).toBe("ok");
    expect(datagrams).toBe(before);

    const denied = ["state/token", "state/conductor.db", "conductor.yaml"].map((path) => join(base, path));
    const reads = [...denied, `/proc/${pid}/environ`].map((path) => ["read", path]);
    expect(await managed.probe("bot", reads)).toEqual(reads.map(() => "EACCES"));
    expect(await managed.probe("bot", [["env", "CONDUCTOR_SECRET"]])).toEqual([null]);

    const folder = join(base, "plugins/bot");
    const places = [
      join(folder, "plugin.yaml"),
      join(folder, "new"),
      "/tmp/conductor-probe",
      join(base, "new"),
    ];
    const writes = places.map((path) => ["write", path]);
    expect(await managed.probe("bot", writes)).toEqual(writes.map(() => "EACCES"));
    expect(await managed.probe("bot", [["truncate", join(base, "conductor.yaml")]])).toEqual(["EACCES"]);
    const data = join(base, "state/plugins/bot");
    const fine = [
      ["write", join(data, "kept")],
      ["temporary"],
      ["write", "/dev/null"],
      ["read", join(folder, "plugin.yaml")],
      ["read", "/etc/passwd"],
    ];
    expect(await managed.probe("bot", fine)).toEqual(["ok", join(data, "tmp"), "ok", "ok", "ok"]);
  }, 30_000);

  test("gains nothing from a setuid program, signals nobody, and has no capability", async () => {
    const managed = await start(as, { bot: proberPlugin("bot", runtime) });
    const [id, killed, effective, bounding, newPrivileges] = await managed.probe("bot", [
      ["run", join(managed.base, "setuid-id"), "-u"],
      ["kill", managed.pid],
      ["status", "CapEff"],
      ["status", "CapBnd"],
      ["status", "NoNewPrivs"],
    ]);
    expect(killed).toBe("EPERM");
    expect(effective).toBe("0000000000000000");
    expect(newPrivileges).toBe("1");
    if (as === "root") {
      expect(bounding).toBe("0000000000000000");
      expect(Number(id)).toBeGreaterThanOrEqual(firstPluginUser);
      expect(managed.view("bot").permissions?.user).toEqual({ mechanism: `uid ${id}`, reason: null });
      expect(statSync(join(managed.base, "state/plugins/bot")).uid).toBe(Number(id));
    } else {
      expect(Number(id)).toBe(isRoot ? nobody : (process.getuid?.() ?? -1));
      expect(managed.view("bot").permissions?.user.reason).toContain("run conductor as root");
    }
  }, 30_000);

  test("is given what its manifest grants: network, variables, folders", async () => {
    const more = "permissions: { net: true, env: [CONDUCTOR_SECRET], write: [data, cache/deep] }\n";
    const managed = await start(as, { bot: proberPlugin("bot", runtime, more) });
    const folder = join(managed.base, "plugins/bot");
    expect(managed.view("bot").permissions?.net).toEqual({ mechanism: null, reason: null });
    if (as === "root") expect(managed.view("bot").permissions?.user.mechanism).toStartWith("uid ");
    expect(
      await managed.probe("bot", [
        ["tcp", "127.0.0.1", tcp.port],
        ["udp", "127.0.0.1", udp.port],
        ["env", "CONDUCTOR_SECRET"],
        ["write", join(folder, "data/kept")],
        ["write", join(folder, "cache/deep/kept")],
        ["write", join(folder, "cache/kept")],
      ]),
    ).toEqual(["ok", "ok", "hunter2", "ok", "ok", "EACCES"]);
  }, 30_000);

  // Only root makes a device to try.
  if (as === "root")
    test("uses the devices that its manifest names, whose group it is put in, and no others", async () => {
      const folder = `/dev/conductor-test-${process.pid}`;
      const [mine, other] = [join(folder, "mine"), join(folder, "other")];
      const group = 54_321;
      mkdirSync(folder);
      try {
        for (const path of [mine, other]) {
          // A null device, which only root and a group may use.
          Bun.spawnSync(["mknod", "-m", "660", path, "c", "1", "3"]);
          chownSync(path, 0, group);
        }
        const bot = proberPlugin("bot", runtime, `permissions: { devices: [${mine}, /dev/none-such] }\n`);
        const managed = await start(as, { bot, none: proberPlugin("none", runtime) });
        expect(managed.view("bot")).toMatchObject({ state: "ready", unenforced: [] });
        const writes = [mine, other, join(folder, "new")].map((path) => ["write", path]);
        expect(await managed.probe("bot", writes)).toEqual(["ok", "EACCES", "EACCES"]);
        expect(await managed.probe("none", writes)).toEqual(["EACCES", "EACCES", "EACCES"]);
        const groups = await managed.probe("bot", [["status", "Groups"]]);
        expect(String(groups[0]).split(" ").map(Number)).toContain(group);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }, 30_000);

  test("without the network can be asked for its health over HTTP, and still connects nowhere", async () => {
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = probe;
    probe.stop(true);
    const more = `health: { kind: http, port: ${port} }\n`;
    const server = {
      "plugin.yaml": `name: web\nversion: 1.0.0\nruntime: exec\nprotocol: none\ncommand: ["python3", "-m", "http.server", "${port}", "--bind", "127.0.0.1"]\n${more}`,
    };
    const managed = await start(as, { bot: proberPlugin("bot", runtime, more), web: server });
    expect(managed.view("web").permissions?.net.mechanism).toContain("seccomp and Landlock");
    await eventually(async () => {
      const answer = (await managed.health("web")) as { ok: boolean; message?: string };
      return answer.ok;
    });
    const others = [
      ["tcp", "127.0.0.1", tcp.port],
      ["udp", "127.0.0.1", udp.port],
      ["fast_open", "127.0.0.1", tcp.port],
      ["mptcp"],
      ["listen", port === 65_535 ? 65_534 : port + 1],
      ["unix"],
    ];
    expect(await managed.probe("bot", others)).toEqual([
      "EACCES",
      "EACCES",
      "EACCES",
      "EACCES",
      "EACCES",
      "ok",
    ]);
  }, 30_000);
});

test.skipIf(!isRoot)(
  "a plugin whose user could not reach its folder stays root, owns nothing that it could give away, and says why",
  async () => {
    const plugins = { bot: proberPlugin("bot", "exec"), bun: proberPlugin("bun", "bun") };
    const managed = await start("root", plugins, { closed: true });
    const { base } = managed;
    for (const name of ["bot", "bun"]) {
      const { state, permissions } = managed.view(name);
      expect(state).toBe("ready");
      expect(permissions?.user.mechanism).toBe("root without capabilities");
      expect(permissions?.user.reason).toEndWith(
        `${base} is closed to other users; open it with: chmod o+x ${base}`,
      );
      const data = join(base, "state/plugins", name);
      expect(
        await managed.probe(name, [
          ["run", "id", "-u"],
          ["status", "CapEff"],
          ["status", "CapBnd"],
          ["chmod", join(base, "state/token"), 0o644],
          ["chmod", join(base, "plugins"), 0o777],
          ["chmod", "/usr/bin/python3", 0o4755],
          ["write", join(base, "plugins", name, "plugin.yaml")],
          ["read", join(base, "state/token")],
          ["write", join(data, "kept")],
          ["chmod", join(data, "kept"), 0o600],
          ["write", "/dev/null"],
          ["temporary"],
        ]),
      ).toEqual([
        "0",
        "0000000000000000",
        "0000000000000000",
        "EROFS",
        "EROFS",
        "EROFS",
        expect.stringMatching(/^(EROFS|EACCES)$/),
        "EACCES",
        "ok",
        "ok",
        "ok",
        join(data, "tmp"),
      ]);
    }
    expect(statSync(join(base, "state/token")).mode & 0o777).toBe(0o600);
  },
  30_000,
);

describe.each(isRoot ? (["root", "user"] as const) : (["user"] as const))("a conductor run by %s", (as) => {
  test("without network namespaces keeps a plugin from the network by seccomp", async () => {
    const managed = await start(
      as,
      { bot: proberPlugin("bot", "exec") },
      { withhold: ["network namespace"] },
    );
    expect(managed.view("bot").permissions?.net).toEqual({ mechanism: "seccomp", reason: null });
    const before = datagrams;
    expect(await managed.probe("bot", networkProbes())).toEqual(["EACCES", "EACCES", "EAI", "ok"]);
    expect(datagrams).toBe(before);
  }, 30_000);

  test("without Landlock does not start a plugin that nobody vouched for, and says what to do", async () => {
    const managed = await start(
      as,
      {
        bot: proberPlugin("bot", "exec", "recovery: { restart: never }\n"),
        kept: proberPlugin("kept", "exec", "trust: true\n"),
      },
      { withhold: ["landlock"] },
    );
    const { state, reason } = managed.view("bot");
    expect(state).toBe("failed");
    expect(reason).toContain("permissions.files cannot be enforced here: this kernel offers no Landlock");
    expect(reason).toContain("lsm=");
    expect(reason).toContain("or set trust: true in its plugin.yaml");
    const kept = managed.view("kept");
    expect(kept).toMatchObject({ state: "ready" });
    expect(kept.unenforced).toEqual(as === "root" ? ["files"] : ["files", "user"]);
    expect(kept.permissions?.files).toMatchObject({
      mechanism: null,
      reason: expect.stringContaining("Landlock"),
    });
  }, 30_000);

  test("refuses a folder to write to that is a link out of the plugin's", async () => {
    const managed = await start(as, {
      bot: proberPlugin(
        "bot",
        "exec",
        "permissions: { write: [../../state] }\nrecovery: { restart: never }\n",
      ),
      own: proberPlugin("own", "exec", "permissions: { write: [.] }\nrecovery: { restart: never }\n"),
    });
    expect(managed.view("bot").reason).toContain(
      'permissions.write: "../../state": leaves the plugin\'s folder; expected a folder inside',
    );
    expect(managed.view("own").reason).toContain('permissions.write: ".": is the plugin\'s whole folder');
  }, 30_000);

  test("holds the command of a health check to the plugin's permissions", async () => {
    const probes = JSON.stringify([
      ["read", "../../state/token"],
      ["write", "plugin.yaml"],
      ["status", "CapEff"],
    ]);
    const command = JSON.stringify(["python3", "prober.py", probes]);
    const managed = await start(as, {
      bot: proberPlugin("bot", "exec", `health: { kind: exec, command: ${command} }\n`),
    });
    expect(await managed.health("bot")).toEqual({
      ok: true,
      value: { status: "healthy", detail: '["EACCES", "EACCES", "0000000000000000"]' },
    });
  }, 30_000);

  test("puts bubblewrap around a plugin that asks for it", async () => {
    const more = "permissions: { sandbox: bubblewrap, write: [data] }\n";
    const managed = await start(as, {
      bot: proberPlugin("bot", "exec", more),
      bun: proberPlugin("bun", "bun", more),
    });
    for (const name of ["bot", "bun"]) {
      expect(managed.view(name)).toMatchObject({ state: "ready" });
      expect(managed.view(name).permissions?.files.mechanism).toMatch(/^bubblewrap \d/);
      const { base } = managed;
      const folder = join(base, "plugins", name);
      expect(
        await managed.probe(name, [
          ["tcp", "127.0.0.1", tcp.port],
          ["read", join(base, "state/token")],
          ["write", join(folder, "plugin.yaml")],
          ["write", join(folder, "data/kept")],
          ["temporary"],
          ["kill", managed.pid],
          ["status", "CapEff"],
        ]),
      ).toEqual([
        "ECONNREFUSED",
        "ENOENT",
        expect.stringMatching(/^(EROFS|EACCES)$/),
        "ok",
        join(base, "state/plugins", name, "tmp"),
        "ESRCH",
        "0000000000000000",
      ]);
      expect(existsSync(join(folder, "data/kept"))).toBe(true);
    }
  }, 30_000);
});
