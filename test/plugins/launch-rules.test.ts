/** What a launch decides before it touches the kernel: file grants, socket filters, users, reach, refusals. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import type { PermissionsEnforced } from "../../src/plugins/enforcement.ts";
import { bubblewrapArguments } from "../../src/plugins/launch/bubblewrap.ts";
import { type Grant, type ListFolder, mostGrants, planFiles } from "../../src/plugins/launch/file-rules.ts";
import { grantedRights, handledFileRights } from "../../src/plugins/launch/landlock.ts";
import { firstPluginUser, pluginUser } from "../../src/plugins/launch/plugin-user.ts";
import { closedPath } from "../../src/plugins/launch/reach.ts";
import { refusal } from "../../src/plugins/launch/refusal.ts";
import { socketFilter } from "../../src/plugins/launch/seccomp.ts";
import { dataFolder, writableFolder } from "../../src/plugins/launch/writable-folders.ts";

/** A tree of folders by name; a string is a link. */
interface Tree {
  [name: string]: Tree | string;
}

const listing =
  (tree: Tree): ListFolder =>
  (folder) => {
    let at: Tree | string | undefined = tree;
    for (const name of folder.split("/").filter(Boolean)) at = typeof at === "object" ? at[name] : undefined;
    if (typeof at !== "object") return null;
    return Object.entries(at).map(([name, value]) => ({ name, link: typeof value === "string" }));
  };

const readsOf = (grants: readonly Grant[]): string[] =>
  grants.filter(({ access }) => access === "read").map(({ path }) => path);

const host: Tree = {
  etc: { conductor: { "conductor.yaml": {}, "other.yaml": {} }, passwd: {} },
  home: {},
  tmp: { link: "/var/lib/conductor" },
  usr: { bin: {} },
  var: { lib: { conductor: { "conductor.db": {}, plugins: { bot: {}, other: {} } }, dpkg: {} }, log: {} },
};

describe("the files granted to a plugin", () => {
  const plan = (hidden: string[], readable: string[] = [], writable: string[] = [], devices: string[] = []) =>
    planFiles({ hidden, readable, writable, devices }, "/usr/bin/python3", listing(host)).grants;

  test.each([
    ["nothing is hidden", [], ["/"]],
    ["a folder is", ["/var/lib/conductor"], ["/etc", "/home", "/tmp", "/usr", "/var/lib/dpkg", "/var/log"]],
    [
      "a folder and a file are",
      ["/var/lib/conductor", "/etc/conductor/conductor.yaml"],
      ["/etc/conductor/other.yaml", "/etc/passwd", "/home", "/tmp", "/usr", "/var/lib/dpkg", "/var/log"],
    ],
    ["a folder and one in it are", ["/var", "/var/lib"], ["/etc", "/home", "/tmp", "/usr"]],
    ["what does not exist is", ["/srv/state"], ["/etc", "/home", "/tmp", "/usr", "/var"]],
    ["everything is", ["/"], ["/usr/bin"]],
  ])("are the siblings on the way to what is hidden: %s", (_, hidden, expected) => {
    expect(readsOf(plan(hidden))).toEqual(expected);
  });

  test("hold no link, which could lead to what is hidden", () => {
    expect(readsOf(plan(["/tmp/secret"]))).toEqual(["/etc", "/home", "/usr", "/var"]);
  });

  test("hold its own folders although they lie in a hidden one, and devices to write to", () => {
    const own = "/var/lib/conductor/plugins/bot";
    const grants = plan(["/var/lib/conductor"], ["/var/lib/conductor/code"], [own]);
    expect(readsOf(grants)).toContain("/var/lib/conductor/code");
    const written = grants.filter(({ access }) => access === "write").map(({ path }) => path);
    expect(written).toEqual([own, "/dev/shm"]);
    expect(grants).toContainEqual({ path: "/dev/null", access: "device" });
  });

  test("are a fixed list when too much lies beside what is hidden", () => {
    const crowd = Object.fromEntries(Array.from({ length: mostGrants + 1 }, (_, at) => [`f${at}`, {}]));
    const crowded = listing({ usr: {}, srv: { ...crowd, state: {} } });
    const rules = { hidden: ["/srv/state"], readable: ["/opt/bot"], writable: [], devices: [] };
    const { grants, reduced } = planFiles(rules, "/home/me/python", crowded);
    expect(reduced).toBe(true);
    expect(readsOf(grants)).toContain("/usr");
    expect(readsOf(grants)).toContain("/opt/bot");
    expect(readsOf(grants)).toContain("/home/me");
    expect(readsOf(grants)).not.toContain("/srv");
    expect(readsOf(grants).length).toBeLessThan(30);
  });

  test("never hold a hidden path or a folder above one, whatever the tree", () => {
    const names = fc.constantFrom("a", "b", "c");
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.dictionary(names, fc.oneof({ maxDepth: 4 }, fc.constant({}), fc.constant("/a"), tie("tree"))),
    }));
    const path = fc.array(names, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(tree, fc.array(path, { minLength: 1, maxLength: 3 }), (made, hidden) => {
        const { grants } = planFiles(
          { hidden, readable: [], writable: [], devices: [] },
          "/p",
          listing(made),
        );
        for (const read of readsOf(grants))
          for (const each of hidden) expect(`${each}/`.startsWith(`${read}/`)).toBe(false);
      }),
    );
  });

  test("stay within what the kernel's Landlock knows", () => {
    for (let abi = 1; abi <= 7; abi++)
      for (const access of ["list", "read", "write", "device"] as const)
        for (const isFolder of [true, false]) {
          const rights = grantedRights(access, isFolder, abi);
          expect(rights & ~handledFileRights(abi)).toBe(0n);
          // The kernel refuses a right on folders for what is none.
          if (!isFolder) expect(rights & 0b11_1111_1111_1000n & ~(1n << 14n)).toBe(0n);
        }
    expect([1, 2, 3, 4, 5, 6, 7].map((abi) => handledFileRights(abi).toString(2).length)).toEqual([
      13, 14, 15, 15, 16, 16, 16,
    ]);
    expect(grantedRights("read", true, 7)).toBe(0b1101n);
  });
});

/** Runs a filter as the kernel does; yields its verdict. */
function judge(filter: Uint8Array, call: { nr: number; arch: number; args?: number[] }): number {
  const program = Buffer.from(filter);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr, 0);
  data.writeUInt32LE(call.arch, 4);
  for (const [at, value] of (call.args ?? []).entries()) data.writeBigUInt64LE(BigInt(value), 16 + 8 * at);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const [yes, no] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else if (code === 0x06) return value;
    else {
      const holds =
        code === 0x15
          ? accumulator === value
          : code === 0x35
            ? accumulator >= value
            : (accumulator & value) !== 0;
      at += holds ? yes : no;
    }
  }
  throw new Error("the filter ends without a verdict");
}

const allow = 0x7fff0000;
const eacces = 0x0005000d;
const kill = 0x80000000;
const machines = {
  x64: { arch: 0xc000003e, socket: 41, socketpair: 53, sendto: 44, sendmsg: 46, sendmmsg: 307, read: 0 },
  arm64: {
    arch: 0xc00000b7,
    socket: 198,
    socketpair: 199,
    sendto: 206,
    sendmsg: 211,
    sendmmsg: 269,
    read: 63,
  },
} as const;

describe.each(["x64", "arm64"] as const)("the socket filter on %s", (name) => {
  const { arch, socket, socketpair, sendto, sendmsg, sendmmsg, read } = machines[name];
  const asked = (rule: "none" | "listen", nr: number, ...args: number[]) =>
    judge(socketFilter(rule, name), { nr, arch, args });

  test("allows unix sockets and everything that is no socket", () => {
    for (const rule of ["none", "listen"] as const) {
      expect(asked(rule, socket, 1, 1, 0)).toBe(allow);
      expect(asked(rule, socketpair, 1, 1, 0)).toBe(allow);
      expect(asked(rule, read, 2, 2, 2)).toBe(allow);
    }
    expect(asked("none", sendto, 3, 0, 0, 0x20000000)).toBe(allow);
  });

  test("denies every other family", () => {
    for (const family of [0, 2, 3, 10, 16, 17, 30, 38, 40, 45, 0xffffffff]) {
      expect(asked("none", socket, family, 1, 0)).toBe(eacces);
      if (family !== 2 && family !== 10) expect(asked("listen", socket, family, 1, 0)).toBe(eacces);
    }
  });

  test("lets one that listens have TCP sockets, and no other way to connect", () => {
    for (const family of [2, 10]) {
      for (const protocol of [0, 6])
        expect(asked("listen", socket, family, 1 | 0o2000000, protocol)).toBe(allow);
      for (const [type, protocol] of [
        [2, 0],
        [3, 6],
        [1, 132],
        [1, 262],
        [5, 132],
      ] as const)
        expect(asked("listen", socket, family, type, protocol)).toBe(eacces);
    }
    const fastOpen = 0x20000000 | 0x4000;
    expect(asked("listen", sendto, 3, 0, 0, fastOpen)).toBe(eacces);
    expect(asked("listen", sendmmsg, 3, 0, 0, fastOpen)).toBe(eacces);
    expect(asked("listen", sendmsg, 3, 0, fastOpen)).toBe(eacces);
    expect(asked("listen", sendto, 3, 0, 0, 0x4000)).toBe(allow);
    expect(asked("listen", sendmsg, 3, 0, 0x4000)).toBe(allow);
  });

  test("denies io_uring, and ends a process that calls as another architecture", () => {
    expect(asked("none", 425)).toBe(0x00050001);
    expect(judge(socketFilter("none", name), { nr: 102, arch: 0x40000003 })).toBe(kill);
    if (name === "x64") expect(asked("none", 0x40000000 | 41, 2)).toBe(0x00050026);
  });
});

describe("a user for each plugin", () => {
  test("is in the range, different for each, and the same whatever the order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), { minLength: 1 }), (names) => {
        const users = names.map((name) => pluginUser(name, names));
        expect(new Set(users).size).toBe(names.length);
        for (const user of users) {
          expect(user).toBeGreaterThanOrEqual(firstPluginUser);
          expect(user).toBeLessThan(90_000);
        }
        expect(names.map((name) => pluginUser(name, [...names].reverse()))).toEqual(users);
      }),
    );
  });

  test("is the name's own while nobody else has that number", () => {
    const alone = pluginUser("voice", []);
    expect(pluginUser("voice", ["android", "discord", "stubs"])).toBe(alone);
  });

  test("goes to the next number where two names hash alike", () => {
    const slots = new Map<number, string>();
    for (let at = 0; ; at++) {
      const user = pluginUser(`p${at}`, []);
      const first = slots.get(user);
      if (first === undefined) {
        slots.set(user, `p${at}`);
        continue;
      }
      const both = [first, `p${at}`].sort();
      const next = user + 1 < 90_000 ? user + 1 : firstPluginUser;
      expect(both.map((name) => pluginUser(name, both))).toEqual([user, next]);
      break;
    }
  });
});

describe("what a user can reach", () => {
  const modes: Record<string, { mode: number; uid: number; gid: number }> = {
    "/": { mode: 0o755, uid: 0, gid: 0 },
    "/root": { mode: 0o700, uid: 0, gid: 0 },
    "/root/bot": { mode: 0o755, uid: 0, gid: 0 },
    "/srv": { mode: 0o711, uid: 0, gid: 0 },
    "/srv/bot": { mode: 0o750, uid: 0, gid: 70_001 },
    "/srv/secret": { mode: 0o600, uid: 0, gid: 0 },
    "/srv/own": { mode: 0o700, uid: 70_001, gid: 0 },
  };
  test.each([
    ["/srv/bot", 5, null],
    ["/srv/own", 7, null],
    ["/srv", 1, null],
    ["/srv", 5, "/srv is closed to other users; open it with: chmod o+rx /srv"],
    ["/root/bot", 5, "/root is closed to other users; open it with: chmod o+x /root"],
    ["/srv/missing/file", 4, null],
    ["/srv/secret", 4, "/srv/secret is closed to other users; open it with: chown 70001 /srv/secret"],
  ])("%s with bits %d: %p", (path, bits, expected) => {
    expect(closedPath(70_001, [{ path, bits }], (each) => modes[each] ?? null)).toBe(expected);
  });
});

describe("a folder to write to", () => {
  let root = "";
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test("is made inside the plugin's, and refused when it is not", () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "conductor-write-")));
    const folder = join(root, "bot");
    mkdirSync(join(root, "outside"));
    mkdirSync(folder);
    symlinkSync(join(root, "outside"), join(folder, "link"));
    expect(writableFolder(folder, "data/deep")).toEqual({ ok: true, path: join(folder, "data/deep") });
    for (const path of [".", "..", "../outside", "/etc", "data/../.."])
      expect(writableFolder(folder, path)).toMatchObject({
        message: `permissions.write: ${JSON.stringify(path)}: expected a folder inside the plugin's own`,
      });
    for (const path of ["link", "link/new"])
      expect(writableFolder(folder, path)).toMatchObject({
        message: `permissions.write: ${JSON.stringify(path)}: is a link out of the plugin's folder`,
      });
    expect(readdirSync(join(root, "outside"))).toEqual([]);
  });

  test("of data never holds the plugin, which could rewrite its manifest", () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "conductor-write-")));
    const folder = join(root, "plugins/bot");
    mkdirSync(folder, { recursive: true });
    const data = join(root, "data/bot");
    expect(dataFolder(data, folder)).toEqual({ ok: true, path: data });
    expect(readdirSync(data)).toEqual(["tmp"]);
    expect(dataFolder(join(folder, "data"), folder)).toMatchObject({ ok: true });
    for (const path of [folder, join(root, "plugins"), root])
      expect(dataFolder(path, folder)).toMatchObject({
        message: `its data folder ${path} holds the plugin itself; correct storage.path`,
      });
  });
});

const held = { mechanism: "it", reason: null };
const open = { mechanism: null, reason: "no such thing" };
const all: PermissionsEnforced = { env: held, net: held, files: held, user: held, privileges: held };

test.each([
  [all, null],
  [{ ...all, net: { mechanism: null, reason: null } }, null],
  [{ ...all, user: open }, null],
  [{ ...all, net: open }, "grant it in its plugin.yaml (permissions: { net: true }); or set trust: true"],
  [{ ...all, files: open }, "permissions.files cannot be enforced here: no such thing; or set trust: true"],
  [{ ...all, files: open, user: open }, "permissions.user cannot be enforced here"],
  [{ ...all, privileges: open }, "permissions.privileges"],
])("a plugin that nobody vouched for is refused for what is open: %#", (permissions, expected) => {
  const said = refusal(permissions);
  if (expected === null) expect(said).toBeNull();
  else expect(said).toContain(expected);
});

test("bubblewrap gets the hidden covered, then its own back, then what can be written to", () => {
  const files = {
    hidden: ["/state", "/c.yaml", "/gone"],
    readable: ["/state/code"],
    writable: ["/state/data"],
    devices: ["/dev/snd"],
  };
  const spec = { files, net: { kind: "none" } as const, folder: "/f", path: "/bin/p", argv: ["p", "-x"] };
  const kinds: Record<string, "folder" | "file"> = { "/state": "folder", "/c.yaml": "file" };
  const line = bubblewrapArguments(spec, (path) => kinds[path] ?? null).join(" ");
  expect(line).toContain(
    "--dev /dev --proc /proc --dev-bind-try /dev/snd /dev/snd --tmpfs /state --ro-bind /dev/null /c.yaml --ro-bind-try /state/code /state/code --bind-try /state/data /state/data",
  );
  expect(line).not.toContain("/gone");
  expect(line).toContain("--unshare-net");
  expect(line).toEndWith("--chdir /f -- /bin/p -x");
  const listening = { ...spec, net: { kind: "listen", port: 1 } as const };
  expect(bubblewrapArguments(listening, () => null)).not.toContain("--unshare-net");
});
