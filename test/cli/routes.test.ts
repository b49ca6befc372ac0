/** `conductor routes` and `check` as a person who writes rules uses them. */

import { describe, expect, test } from "bun:test";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { writeFiles } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();

const rules = `routing:
  rules:
    - name: vip
      when: { header.X-Tenant: gold, payload.level: [1, 2] }
      to: voice
      fallback: [android, stubs]
      idempotent: true
    - when: { platform: discord, payload.command: { prefix: "!" } }
      to: discord
      balance: { hash: payload.user.id }
`;

const folderWith = (files: Record<string, string>): string => {
  const folder = scratchFolder(defer);
  writeFiles(folder, files);
  return folder;
};

describe("routes", () => {
  test("lists the rules in their order, as a table and as JSON", async () => {
    const cwd = folderWith({ "conductor.yaml": rules });
    const { code, out, err } = await conductor(["routes"], { cwd });
    expect([code, err]).toEqual([0, ""]);
    expect(out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["RULE", "TO", "FALLBACK", "BALANCE", "IDEMPOTENT", "WHEN"],
      [
        "vip",
        "voice",
        "android, stubs",
        "least-busy",
        "yes",
        'header.x-tenant "gold" and payload.level one of 1, 2',
      ],
      [
        "rule 2",
        "discord",
        "default",
        "hash payload.user.id",
        "no",
        'platform "discord" and payload.command beginning with "!"',
      ],
      [""],
    ]);
    const json = JSON.parse((await conductor(["routes", "-o", "json"], { cwd })).out);
    expect(json.rules).toMatchObject([
      { name: "vip", fallback: ["android", "stubs"], idempotent: true },
      { name: "rule 2", fallback: null, balance: "hash payload.user.id" },
    ]);
  });

  test("says so when there are none, and names what is wrong with them", async () => {
    expect((await conductor(["routes"], { cwd: scratchFolder(defer) })).out).toBe(
      "no rules: each request goes to the plugin of its platform\n",
    );
    const cwd = folderWith({
      "conductor.yaml": "routing: { rules: [{ to: a, when: { type: { regex: '(a' } } }] }\n",
    });
    const { code, err } = await conductor(["routes"], { cwd });
    expect(code).toBe(2);
    expect(err).toContain('conductor.yaml:1: routing.rules[0].when.type.regex: "(a": expected a pattern');
  });
});

describe("routes test", () => {
  const requests = [
    { platform: "discord", headers: { "X-TENANT": "gold" }, payload: { level: 3, command: "!\u001b[2J" } },
    { platform: "fax", payload: null },
  ];

  test("tells for each request where it goes, which rule matched and what failed in the earlier ones", async () => {
    const cwd = folderWith({ "conductor.yaml": rules, "requests.json": JSON.stringify(requests) });
    const { code, out, err } = await conductor(["routes", "test", "requests.json"], { cwd });
    expect([code, err]).toEqual([0, ""]);
    expect(out).toBe(`platform "discord", type "message"
  rule "rule 2": to discord, fallback default, balance hash payload.user.id
  no   vip: payload.level is 3, expected one of 1, 2
  yes  rule 2: platform is "discord"
               payload.command is "!\\u001b[2J", beginning with "!"

platform "fax", type "message"
  no rule matches: it goes to the plugin of platform "fax"
  no   vip: header.x-tenant is missing, expected "gold"
  no   rule 2: platform is "fax", expected "discord"
`);
    const json = JSON.parse(
      (await conductor(["routes", "test", "requests.json", "-o", "json"], { cwd })).out,
    );
    expect(json.requests).toMatchObject([
      {
        platform: "discord",
        rule: "rule 2",
        to: "discord",
        steps: [{ rule: "vip", matched: false }, { matched: true }],
      },
      { platform: "fax", rule: null, to: "fax", fallback: null },
    ]);
  });

  test("reads one request, and stdin for -", async () => {
    const cwd = folderWith({ "conductor.yaml": rules, "one.json": JSON.stringify(requests[1]) });
    const wrap = ["sh", "-c", '"$@" < one.json', "sh"];
    const { code, out } = await conductor(["routes", "test", "-"], { cwd, wrap });
    expect(code).toBe(0);
    expect(out).toStartWith('platform "fax", type "message"\n');
  });

  test.each<[string, string | null, string]>([
    [
      "a file that is not there",
      null,
      "r.json: no such file; expected a file with a request, or a list of them, as JSON",
    ],
    ["no JSON", "{", "r.json: is not JSON: JSON Parse error"],
    ["no request", '{"platform":"a"}', "r.json: [0].payload: nothing: expected any JSON"],
    [
      "an unknown key with controls in it",
      '[{"platform":"a","payload":1,"\\u001b[2Jx":1}]',
      "r.json: [0].\\u001b[2Jx: unknown key",
    ],
    [
      "a second request that is none",
      '[{"platform":"a","payload":1},{"platform":2,"payload":1}]',
      "r.json: [1].platform: 2: expected a text",
    ],
    [
      "levels without end",
      `{"platform":"a","payload":${"[".repeat(200)}${"]".repeat(200)}}`,
      "r.json: expected at most 130 levels of lists and objects",
    ],
    ["100,000 levels", `{"platform":"a","payload":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "r.json: "],
  ])("%s is told in one line", async (_, text, line) => {
    const cwd = folderWith({ "conductor.yaml": rules, ...(text === null ? {} : { "r.json": text }) });
    const { code, out, err } = await conductor(["routes", "test", "r.json"], { cwd });
    expect([code, out]).toEqual([1, ""]);
    expect(err).toStartWith(`conductor: ${line}`);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });

  test("reads no further than 16 MiB, of what has no end either", async () => {
    const cwd = folderWith({ "conductor.yaml": rules });
    for (const file of ["/dev/zero", "-"]) {
      const wrap = ["sh", "-c", '"$@" < /dev/zero', "sh"];
      const { code, err } = await conductor(["routes", "test", file], { cwd, wrap });
      expect([code, err]).toEqual([
        1,
        `conductor: ${file === "-" ? "stdin" : file}: expected at most 16 MiB\n`,
      ]);
    }
    const { code, err } = await conductor(["routes", "test", "."], { cwd });
    expect(code).toBe(1);
    expect(err).toStartWith("conductor: .: cannot be read (");
  });

  test("without a file, or with another word, is wrong usage", async () => {
    const cwd = scratchFolder(defer);
    expect(await conductor(["routes", "test"], { cwd })).toMatchObject({
      code: 2,
      err: "conductor: test: expected a file of requests; usage: conductor routes test FILE [--config FILE] [-o json]\n",
    });
    expect(await conductor(["routes", "tset"], { cwd })).toMatchObject({
      code: 2,
      err: "conductor: tset: expected test\n",
    });
  });
});

test("check warns of platforms that rules name and nobody serves, and stays fine", async () => {
  const cwd = folderWith({
    "conductor.yaml":
      "routing: { rules: [{ name: far, to: telegram, fallback: [fax, stubs] }, { to: voice }] }\n",
  });
  const { code, out, err } = await conductor(["check"], { cwd });
  expect(code).toBe(0);
  expect(out).toStartWith("ok: ");
  expect(err).toBe('conductor: warning: routing.rules: "far" names telegram, fax: no plugin serves that\n');
});
