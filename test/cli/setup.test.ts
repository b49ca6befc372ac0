/** init, check, schema: from nothing to a configuration that runs. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor, writeFiles } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();
const bundled = ["android", "discord", "stubs", "voice"];

describe("init", () => {
  test("writes a configuration and the bundled plugins, which check accepts and serve runs from the files", async () => {
    const cwd = scratchFolder(defer);
    const folder = join(cwd, "my-host");
    const made = await conductor(["init", "my-host"], { cwd });
    expect([made.code, made.err]).toEqual([0, ""]);
    expect(made.out).toContain(`files to ${folder}`);
    const checked = await conductor(["check"], { cwd: folder });
    expect([checked.code, checked.err, checked.out]).toEqual([
      0,
      "",
      expect.stringContaining(`ok: conductor.yaml: ${bundled.join(", ")}\n`),
    ]);
    // Its hash, and what no permission covers.
    expect(checked.out).toMatch(
      /\n {2}voice 1\.0\.0 sha256: [0-9a-f]{64}\n {4}espeak\.ts:\d+: uses Bun\.spawn: /,
    );

    // A change shows that it is the file that runs, and not what is in the executable.
    const source = join(folder, "plugins/stubs/index.ts");
    writeFiles(folder, {
      "conductor.yaml": "plugins: { config: { android: { port: 0 } } }\n",
      "plugins/stubs/index.ts": readFileSync(source, "utf8").replace("is standing by", "is changed"),
    });
    const running = await RunningConductor.start({ folder });
    defer(() => running.kill());
    const plugins = await running.plugins();
    expect(plugins.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "android ready",
      "discord ready",
      "stubs ready",
      expect.stringMatching(/^voice (ready|degraded)$/),
    ]);
    expect(JSON.stringify((await running.request("stubs", {})).body.result)).toContain("is changed");
    expect((await running.request("discord", { command: "!ping" })).body.result).toMatchObject({
      reply: "pong",
    });
    expect(await running.terminate()).toBe(0);
  }, 30_000);

  test("takes an absolute folder, writes nothing over what is there, and with --force does", async () => {
    const cwd = scratchFolder(defer);
    const folder = join(scratchFolder(defer), "deep/er");
    expect((await conductor(["init", folder], { cwd })).code).toBe(0);
    writeFiles(folder, { "conductor.yaml": "scaler: { shed: 70% }\n" });
    const refused = await conductor(["init", folder], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(
      /^conductor: conductor\.yaml, .*: there already; use --force to overwrite, .*\n$/,
    );
    expect(readFileSync(join(folder, "conductor.yaml"), "utf8")).toBe("scaler: { shed: 70% }\n");
    expect((await conductor(["init", folder, "--force"], { cwd })).code).toBe(0);
    expect(readFileSync(join(folder, "conductor.yaml"), "utf8")).toStartWith(
      "# conductor.yaml: every setting",
    );
  });

  test("says in one line that it cannot write", async () => {
    const cwd = scratchFolder(defer);
    writeFiles(cwd, { file: "" });
    const { code, err } = await conductor(["init", "file/below"], { cwd });
    expect(code).toBe(1);
    expect(err).toMatch(/^conductor: .*cannot be written \(ENOTDIR\); choose a folder .*\n$/);
  });
});

describe("check", () => {
  test("without anything says that the defaults are fine", async () => {
    const { code, out } = await conductor(["check"], { cwd: scratchFolder(defer) });
    expect([code, out]).toEqual([0, `ok: defaults: ${bundled.join(", ")}\n`]);
  });

  test("names every problem of the plugins at once, warns, and ends with 1; the same as JSON", async () => {
    const cwd = scratchFolder(defer);
    writeFiles(cwd, {
      "conductor.yaml": "scaler: { order: [gone, good] }\n",
      "plugins/good/plugin.yaml": "name: good\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\n",
      "plugins/bad/plugin.yaml": "name: bad\nversion: one\nruntime: exec\ncomand: [sh]\n",
      "plugins/extra/plugin.yaml": "name: extra\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\n",
    });
    const { code, out, problems } = await conductor(["check"], { cwd });
    expect(code).toBe(1);
    expect(problems.map((line) => line.replaceAll(cwd, ""))).toEqual([
      expect.stringMatching(/^conductor: \/plugins\/bad\/plugin\.yaml: command: nothing: expected a command/),
      expect.stringMatching(
        /^conductor: \/plugins\/bad\/plugin\.yaml:2: version: "one": expected a semantic version/,
      ),
      expect.stringMatching(/^conductor: .*:4: comand: unknown key; did you mean "command"\?/),
      "conductor: warning: scaler.order does not name extra: shed before those it names",
      "conductor: warning: scaler.order names gone: there is no such plugin",
    ]);
    expect(out).toMatch(
      /^3 problems: conductor\.yaml: bad, extra, good\n {2}extra 1\.0\.0 sha256: [0-9a-f]{64}\n {2}good 1\.0\.0 sha256: [0-9a-f]{64}\n$/,
    );
    const json = await conductor(["check", "-o", "json"], { cwd });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({
      ok: false,
      config: "conductor.yaml",
      plugins: [
        { name: "bad", valid: false },
        { name: "extra", valid: true },
        { name: "good", valid: true },
      ],
      errors: [expect.any(String), expect.any(String), expect.any(String)],
      warnings: [expect.any(String), expect.any(String)],
    });
  });

  test("warns of what a plugin's code uses and its manifest does not ask for, and that is no failure", async () => {
    const cwd = scratchFolder(defer);
    writeFiles(cwd, {
      "conductor.yaml": "scaler: { order: [bot] }\n",
      "plugins/bot/plugin.yaml": "name: bot\nversion: 1.0.0\n",
      "plugins/bot/index.ts": "export default {\n  handleRequest: () => fetch(process.env.URL),\n};\n",
    });
    const { code, problems } = await conductor(["check"], { cwd });
    expect(code).toBe(0);
    const at = `conductor: warning: ${cwd}/plugins/bot/index.ts:2: bot`;
    expect(problems).toEqual([
      `${at} calls fetch, and permissions.net is false`,
      `${at} reads the variable URL, which permissions.env does not name: it is not set`,
    ]);
    const json = JSON.parse((await conductor(["check", "-o", "json"], { cwd })).out);
    expect(json).toMatchObject({ ok: true, warnings: [expect.any(String), expect.any(String)] });
    expect(json.plugins).toEqual([
      {
        name: "bot",
        valid: true,
        version: "1.0.0",
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        notes: [],
      },
    ]);
  });

  test("tells who requires what is not there, by way of whom", async () => {
    const cwd = scratchFolder(defer);
    const yaml = (name: string, required: string) =>
      `name: ${name}\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\nrequires: [${required}]\n`;
    writeFiles(cwd, {
      "conductor.yaml": "scaler: { order: [a, b] }\n",
      "plugins/a/plugin.yaml": yaml("a", "b"),
      "plugins/b/plugin.yaml": yaml("b", "c@^2"),
    });
    const { code, problems } = await conductor(["check"], { cwd });
    expect(code).toBe(1);
    expect(problems).toEqual([
      "conductor: a: requires b, which cannot start: a -> b -> c, which was not found",
      "conductor: b: requires c, which was not found; install it or remove it from requires",
    ]);
  });

  test("of plugins made to do harm lists each with its reason, and ends soon", async () => {
    const cwd = scratchFolder(defer);
    const yaml = (name: string, more: string) => `name: ${name}\nversion: 1.0.0\n${more}`;
    const laughs = Array.from({ length: 12 }, (_, n) =>
      n === 0
        ? "a0: &a0 [x, x]"
        : `a${n}: &a${n} [${Array(9)
            .fill(`*a${n - 1}`)
            .join(", ")}]`,
    );
    writeFiles(cwd, {
      "plugins/huge/plugin.yaml": "#".repeat(10 * 2 ** 20),
      "plugins/deep/plugin.yaml": `routes: ${"[".repeat(10_000)}`,
      "plugins/dashes/plugin.yaml": `routes:\n ${"- ".repeat(10_000)}x\n`,
      "plugins/laughs/plugin.yaml": `${laughs.join("\n")}\n`,
      "plugins/climbs/plugin.yaml": yaml("climbs", "entry: ../../../etc/passwd\n"),
      "plugins/writes/plugin.yaml": yaml("writes", "permissions: { write: [/etc] }\n"),
      "plugins/writes/index.ts": "",
      "plugins/broken/plugin.yaml": yaml("broken", ""),
      "plugins/broken/index.ts": "\nconst x = ;\n",
      "plugins/nothing/plugin.yaml": "",
      "plugins/absent/plugin.yaml": yaml("absent", "runtime: exec\ncommand: [no-such-program-here]\n"),
      "plugins/pipe/readme": "",
    });
    expect(Bun.spawnSync(["mkfifo", join(cwd, "plugins/pipe/plugin.yaml")]).exitCode).toBe(0);
    const { code, out } = await conductor(["check", "-o", "json"], { cwd });
    expect(code).toBe(1);
    const errors = (JSON.parse(out).errors as string[]).join("\n");
    for (const expected of [
      "huge/plugin.yaml: 10485760 bytes: expected at most",
      /deep\/plugin\.yaml.*\n/,
      /dashes\/plugin\.yaml.*\n/,
      /laughs\/plugin\.yaml.*\n/,
      'entry: "../../../etc/passwd": leaves the plugin\'s folder',
      'permissions.write: "/etc": expected a folder inside',
      "broken/index.ts:2:11: syntax error: Unexpected ;",
      "nothing/plugin.yaml: name: nothing: expected a text",
      'command: "no-such-program-here": no such program on PATH',
      "pipe/plugin.yaml: expected a file",
    ])
      expect(errors).toMatch(expected);
  });

  test("says that a shadow cannot be promoted by evidence that nothing here can give", async () => {
    const cwd = scratchFolder(defer);
    const shadow = "[{ name: late, policy: adaptive, promotion: { after: 7d, betterBy: 1% } }]";
    writeFiles(cwd, { "conductor.yaml": `shadow: ${shadow}\nstorage: { path: ":memory:" }\n` });
    const { code, err } = await conductor(["check"], { cwd });
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("conductor: shadow late: promotion: expected manual: evidence needs a record"),
    ]);
  });

  test("of a wrong configuration ends with 2", async () => {
    const cwd = scratchFolder(defer);
    writeFiles(cwd, { "conductor.yaml": "scaler: { shed: 80 }\n" });
    const { code, err } = await conductor(["check"], { cwd });
    expect(code).toBe(2);
    expect(err).toMatch(/^conductor: conductor\.yaml:1: scaler\.shed: 80: expected a text with a unit.*\n$/);
  });
});

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean;
  required?: string[];
  items?: Schema;
}

/** Why `value` is not what `schema` describes: types, unknown keys, missing keys. */
function violations(schema: Schema, value: unknown, path = "$"): string[] {
  const type = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  const wanted = schema.type === "integer" ? "number" : schema.type;
  if (wanted !== undefined && wanted !== type) return [`${path}: ${type}, not ${wanted}`];
  if (Array.isArray(value))
    return value.flatMap((each, index) => violations(schema.items ?? {}, each, `${path}[${index}]`));
  if (type !== "object") return [];
  const missing = (schema.required ?? []).filter((key) => !Object.hasOwn(value as object, key));
  const children = Object.entries(value as object).flatMap(([key, child]) => {
    const known = schema.properties?.[key];
    if (known) return violations(known, child, `${path}.${key}`);
    return schema.additionalProperties === false ? [`${path}.${key}: unknown`] : [];
  });
  return [...missing.map((key) => `${path}.${key}: missing`), ...children];
}

test("schema prints a JSON Schema that takes the example with every setting, and refuses an unknown key", async () => {
  const cwd = scratchFolder(defer);
  const { code, out } = await conductor(["schema"], { cwd });
  expect(code).toBe(0);
  const schema = JSON.parse(out) as Schema & { $schema: string };
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  await conductor(["init"], { cwd });
  const example = readFileSync(join(cwd, "conductor.yaml"), "utf8");
  const uncommented = example
    .split("\n")
    .slice(3)
    .map((line) => line.replace(/^# /, ""))
    .join("\n");
  const everything = Bun.YAML.parse(uncommented) as Record<string, object>;
  expect(Object.keys(everything).length).toBeGreaterThanOrEqual(10);
  expect(violations(schema, everything)).toEqual([]);
  expect(violations(schema, {})).toEqual([]);
  expect(violations(schema, { ...everything, htpp: {} })).toEqual(["$.htpp: unknown"]);
  expect(violations(schema, { http: { port: "80" } })).toEqual(["$.http.port: string, not number"]);
});

test("schema plugin prints one that takes every bundled manifest, and refuses an unknown key", async () => {
  const cwd = scratchFolder(defer);
  const { code, out } = await conductor(["schema", "plugin"], { cwd });
  expect(code).toBe(0);
  const schema = JSON.parse(out) as Schema;
  await conductor(["init"], { cwd });
  for (const name of bundled) {
    const manifest = Bun.YAML.parse(readFileSync(join(cwd, `plugins/${name}/plugin.yaml`), "utf8")) as object;
    expect([name, violations(schema, manifest)]).toEqual([name, []]);
    expect(violations(schema, { ...manifest, comand: [] })).toEqual(["$.comand: unknown"]);
  }
  expect(violations(schema, { version: "1.0.0" })).toEqual(["$.name: missing"]);
});
