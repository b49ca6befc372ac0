/** Which cgroups lie around this process, on hosts and in containers of both versions. */

import { afterEach, expect, test } from "bun:test";
import { enclosingCgroups, findMemoryMount, pathBelowMount } from "../../src/monitor/cgroups.ts";
import { cgroupOomKills, hostOomKills } from "../../src/monitor/oom-kills.ts";
import {
  FixtureHost,
  hybridPlace,
  v1Cgroup,
  v1Place,
  v1Unlimited,
  v2Cgroup,
  v2Place,
} from "./fixture-host.ts";

let host: FixtureHost | null = null;
afterEach(() => {
  host?.remove();
  host = null;
});

const v1 = (...paths: string[]) =>
  Object.assign({}, ...paths.map((path) => v1Cgroup(path, v1Unlimited, 1, 0)));
const v2 = (...paths: string[]) => Object.assign({}, ...paths.map((path) => v2Cgroup(path, "max", 1, 0)));

const table: [string, Record<string, string>, 1 | 2, string[]][] = [
  [
    "a version 1 host",
    { ...v1Place("/a/b"), ...v1("/", "/a", "/a/b") },
    1,
    ["/memory/a/b", "/memory/a", "/memory"],
  ],
  ["a version 1 host, at the root", { ...v1Place("/"), ...v1("/") }, 1, ["/memory"]],
  // The root of a version 2 tree has no memory.current.
  [
    "a version 2 host",
    { ...v2Place("/a/b.service"), ...v2("/a", "/a/b.service") },
    2,
    ["/a/b.service", "/a"],
  ],
  ["a version 2 host, at the root", v2Place("/"), 2, []],
  [
    "a leaf without the memory controller",
    { ...v2Place("/a/b"), "/sys/fs/cgroup/a/b/cgroup.procs": "1\n", ...v2("/a") },
    2,
    ["/a"],
  ],
  ["a hybrid host", { ...hybridPlace("/a"), ...v1("/", "/a") }, 1, ["/memory/a", "/memory"]],
  ["a container with a cgroup namespace, version 2", { ...v2Place("/"), ...v2("/", "/inner") }, 2, [""]],
  [
    "a cgroup made inside of such a container",
    { ...v2Place("/inner"), ...v2("/", "/inner") },
    2,
    ["/inner", ""],
  ],
  [
    "a container without one, version 1",
    { ...v1Place("/docker/abc", "/docker/abc"), ...v1("/", "/own") },
    1,
    ["/memory"],
  ],
  [
    "a cgroup made inside of such a container, version 1",
    { ...v1Place("/docker/abc/own", "/docker/abc"), ...v1("/", "/own") },
    1,
    ["/memory/own", "/memory"],
  ],
  [
    "a neighbour whose name begins alike",
    { ...v1Place("/docker/abcd", "/docker/abc"), ...v1("/", "/d") },
    1,
    ["/memory"],
  ],
  ["a process outside of its namespace", { ...v2Place("/../other"), ...v2("/", "/other") }, 2, [""]],
  ["a path that is not there", { ...v2Place("/gone/far"), ...v2("/") }, 2, [""]],
  ["a cgroup that was removed", { ...v2Place("/a (deleted)"), ...v2("/", "/a") }, 2, ["/a", ""]],
  ["a name with a colon", { ...v2Place("/a:b"), ...v2("/a:b") }, 2, ["/a:b"]],
  [
    "no cgroup file system",
    { "/proc/self/mountinfo": "23 1 259:1 / / rw - ext4 /dev/root rw\n", "/proc/self/cgroup": "0::/\n" },
    2,
    [],
  ],
  [
    "garbage",
    {
      "/proc/self/mountinfo": "\n - \nx - cgroup2\n1 2 3 - cgroup cgroup memory",
      "/proc/self/cgroup": "::\n\nx",
    },
    2,
    [],
  ],
];

test.each(table)("around a process: %s", (_, files, version, folders) => {
  host = new FixtureHost(files);
  const top = `${host.root}/sys/fs/cgroup`;
  expect(enclosingCgroups(host.root)).toEqual(folders.map((folder) => ({ version, folder: top + folder })));
});

test("a mount point with a space in it is found", () => {
  const line = "31 23 0:28 / /mnt/c\\040g rw - cgroup2 cgroup2 rw\n";
  expect(findMemoryMount(line)).toEqual({ version: 2, treeRoot: "/", mountPoint: "/mnt/c g" });
});

test("of two mounts the one of the whole tree is taken", () => {
  const part = "40 23 0:32 /docker/x /var/lib/x rw - cgroup cgroup rw,memory\n";
  const whole = "41 23 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
  expect(findMemoryMount(part + whole)?.mountPoint).toBe("/sys/fs/cgroup/memory");
  expect(findMemoryMount(part)?.mountPoint).toBe("/var/lib/x");
});

test.each([
  ["/a/b", "/", "/a/b"],
  ["/a/b", "/a", "/b"],
  ["/a", "/a", "/"],
  ["/ab", "/a", "/ab"],
  ["/", "/a", "/"],
  ["/../b", "/", "/"],
])("%s below a mount of %s is %s", (path, treeRoot, below) => {
  expect(pathBelowMount(path, treeRoot)).toBe(below);
});

test("kills are counted by the file of each version, and by the host", () => {
  host = new FixtureHost({
    "/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "/c/memory.events": "low 0\nhigh 9\nmax 8\noom 5\noom_kill 4\noom_group_kill 1\n",
    "/old/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n",
    "/proc/vmstat": "pgfault 7\noom_kill 11\ndrop_pagecache 0\n",
  });
  const folder = `${host.root}/c`;
  expect(cgroupOomKills({ version: 1, folder })).toBe(3);
  expect(cgroupOomKills({ version: 2, folder })).toBe(4);
  expect(cgroupOomKills({ version: 1, folder: `${host.root}/old` })).toBeNull();
  expect(hostOomKills(host.root)).toBe(11);
  expect(() => hostOomKills(`${host?.root}/old`)).toThrow("ENOENT");
});
