/** What a host could hold of the permissions, as doctor tells it, and whether its plugins can have users of their own. */

import { describe, expect, test } from "bun:test";
import { ownUsersObstacle } from "../../src/plugins/launch/own-users.ts";
import { sandboxSupport, supportLines } from "../../src/plugins/sandbox-support.ts";
import { selfFromSource } from "./harness.ts";

describe("users of their own", () => {
  const everyone = "         0          0 4294967295\n";
  const all = "CapEff:\t000001ffffffffff\n";

  test.each([
    ["with every capability and every user", all, everyone, null],
    ["with a container's usual capabilities", "CapEff:\t00000000a80425fb\n", everyone, null],
    ["without the one that ends processes of others", "CapEff:\t00000000000000c3\n", everyone, "CAP_KILL"],
    ["without any", "CapEff:\t0000000000000000\n", everyone, "CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL"],
    ["in a user namespace of 65536", all, "0 100000 65536\n", "do not exist in this user namespace"],
    ["in one that maps them in a second line", all, "0 1000 1\n1 100000 90000\n", null],
  ])("can be given %s", (_, status, map, missing) => {
    const obstacle = ownUsersObstacle(status, [map, everyone]);
    if (missing === null) expect(obstacle).toBeNull();
    else expect(obstacle?.missing).toContain(missing);
  });
});

describe("what a host could enforce", () => {
  const good = {
    namespaceProblem: null,
    privilegesProblem: null,
    seccompProblem: null,
    isRoot: true,
    noOwnUsers: null,
    landlockDenied: false,
  };
  const lineOf = (what: string, probe: Parameters<typeof supportLines>[0], bwrap: string | null = null) =>
    supportLines(probe, bwrap).find((line) => line.what === what);

  test("is told with what is missing and what grants it", () => {
    const full = { ...good, landlockAbi: 7 };
    for (const line of supportLines(full, "bubblewrap 0.8.0"))
      expect(line).toMatchObject({ mechanism: expect.any(String), missing: null, remedy: null });
    expect(lineOf("permissions.files", { ...full, landlockAbi: 0 })?.remedy).toContain("lsm=landlock");
    expect(lineOf("permissions.files", { ...full, landlockAbi: 2 })?.missing).toContain("emptied");
    expect(lineOf("permissions.user", { ...full, isRoot: false })?.remedy).toContain("as root");
    expect(lineOf("permissions.files", { ...full, landlockAbi: 0, landlockDenied: true })?.remedy).toContain(
      "SystemCallFilter",
    );
    const obstacle = { missing: "no CAP_KILL", remedy: "add it" };
    expect(lineOf("permissions.user", { ...full, noOwnUsers: obstacle })).toMatchObject({
      mechanism: "root without capabilities",
      ...obstacle,
    });
    expect(lineOf("permissions.net", { ...full, namespaceProblem: "EPERM" })?.mechanism).toBe("seccomp");
    const listening = "permissions.net (port)";
    expect(lineOf(listening, { ...full, landlockAbi: 3 })?.remedy).toContain("6.7");
    expect(lineOf("permissions.sandbox", full)).toMatchObject({
      mechanism: expect.stringContaining("apt-get install bubblewrap"),
      missing: null,
    });
  });

  test("is found out in a process of its own", async () => {
    const lines = await sandboxSupport(selfFromSource);
    expect(lines.map(({ what }) => what)).toContain("permissions.files");
    expect(lines.find(({ what }) => what === "permissions.privileges")?.mechanism).toBe("no_new_privs");
  });
});
