/** The rules of the house that no other tool checks: who imports whom, how long a file is, which globals are used. */

import { describe, expect, test } from "bun:test";
import { Glob } from "bun";

const root = `${import.meta.dir}/..`;

const filesOf = async (pattern: string): Promise<string[]> =>
  (await Array.fromAsync(new Glob(pattern).scan({ cwd: root }))).sort();

const textOf = (path: string): Promise<string> => Bun.file(`${root}/${path}`).text();

/** Folders of `src` by floor: an import goes down only, and on floors 1 and 2 never sideways. */
const floors: Record<string, number> = {
  main: 4,
  cli: 4,
  conductor: 4,
  http: 3,
  dashboard: 3,
  replay: 3,
  scaler: 2,
  plugins: 2,
  health: 2,
  routing: 2,
  models: 2,
  webhooks: 2,
  monitor: 1,
  forecast: 1,
  storage: 1,
  metrics: 1,
  clock: 0,
  config: 0,
  events: 0,
  log: 0,
  sdk: 0,
  version: 0,
};

/** Folders of one floor whose members may not import each other. */
const isolatedFloors = [1, 2];

/** The folder (or file, on the top level) of `src` that a path belongs to. */
const partOf = (path: string): string => /^src\/([^/]+?)(?:\.d)?(?:\.ts|\/|$)/.exec(path)?.[1] ?? "";

/** Relative imports of a file, as paths from the root; packages are left out. */
async function importsOf(path: string): Promise<string[]> {
  const text = (await textOf(path)).replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
  const folder = path.split("/").slice(0, -1);
  return found
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => {
      const parts = [...folder];
      for (const step of specifier.split("/")) {
        if (step === "..") parts.pop();
        else if (step !== ".") parts.push(step);
      }
      return parts.join("/");
    });
}

/** Why `from` may not import `to`; null when it may. */
function forbidden(from: string, to: string): string | null {
  if (from.startsWith("plugins/")) {
    const own = from.split("/").slice(0, 2).join("/");
    return to.startsWith(`${own}/`) ? null : "a plugin imports only its own files and conductor/plugin";
  }
  if (from.startsWith("assembly/"))
    return to.startsWith("assembly/") ? null : "assembly/ imports itself only";
  if (to.startsWith("dist/")) return null;
  if (to.startsWith("assembly/"))
    return from.startsWith("src/forecast/") && to.startsWith("assembly/adaptive/")
      ? null
      : "only src/forecast runs assembly/adaptive as TypeScript; the rest of assembly/ is WASM only";
  if (to.startsWith("plugins/"))
    return from === "src/plugins/bundled.ts" ? null : "only src/plugins/bundled.ts knows the bundled plugins";
  const [fromPart, toPart] = [partOf(from), partOf(to)];
  const [fromFloor, toFloor] = [floors[fromPart], floors[toPart]];
  if (fromFloor === undefined || toFloor === undefined) return "a folder that has no floor";
  if (fromPart === toPart) return null;
  if (toFloor > fromFloor) return `floor ${fromFloor} imports up to floor ${toFloor}`;
  if (toFloor === fromFloor && isolatedFloors.includes(fromFloor)) return "sideways on one floor";
  return null;
}

describe("imports", () => {
  test("go down only, never up and never sideways", async () => {
    const wrong: string[] = [];
    for (const pattern of ["src/**/*.ts", "plugins/**/*.ts", "assembly/**/*.ts"]) {
      for (const path of await filesOf(pattern)) {
        for (const to of await importsOf(path)) {
          const because = forbidden(path, to);
          if (because) wrong.push(`${path} imports ${to}: ${because}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("the check itself tells right from wrong", () => {
    expect(forbidden("src/scaler/a.ts", "src/monitor/b.ts")).toBeNull();
    expect(forbidden("src/scaler/a.ts", "src/plugins/b.ts")).toContain("sideways");
    expect(forbidden("src/monitor/a.ts", "src/scaler/b.ts")).toContain("up");
    expect(forbidden("src/monitor/a.ts", "src/storage/b.ts")).toContain("sideways");
    expect(forbidden("plugins/voice/index.ts", "src/sdk/plugin.ts")).toContain("conductor/plugin");
    expect(forbidden("assembly/index.ts", "src/clock.ts")).toContain("itself");
    expect(forbidden("src/forecast/a.ts", "assembly/adaptive/b.ts")).toBeNull();
    expect(forbidden("src/forecast/a.ts", "assembly/ring.ts")).toContain("WASM only");
    expect(forbidden("src/scaler/a.ts", "assembly/adaptive/b.ts")).toContain("only src/forecast");
    expect(forbidden("src/extra/a.ts", "src/clock.ts")).toContain("no floor");
  });

  test("no folder of src has a barrel file", async () => {
    expect(await filesOf("src/**/index.ts")).toEqual([]);
  });
});

describe("files", () => {
  test("are at most 400 lines long", async () => {
    const long: string[] = [];
    for (const pattern of ["{src,plugins,assembly,test}/**/*.ts", "*.ts"]) {
      for (const path of await filesOf(pattern)) {
        const lines = (await textOf(path)).split("\n").length;
        if (lines > 400) long.push(`${path}: ${lines}`);
      }
    }
    expect(long).toEqual([]);
  });

  test("are named for their subject", async () => {
    const vague = (await filesOf("{src,plugins,assembly,test}/**/*")).filter((path) =>
      /(^|\/)(utils?|helpers?|common|misc)(\.|\/)/.test(path),
    );
    expect(vague).toEqual([]);
  });

  test("hold no unfinished work and no silenced check", async () => {
    const found: string[] = [];
    for (const path of await filesOf("{src,plugins,assembly}/**/*.ts")) {
      const text = await textOf(path);
      const match =
        /\b(TODO|FIXME|XXX)\b|@ts-ignore|@ts-expect-error|biome-ignore|catch\s*(\([^)]*\))?\s*\{\s*\}/.exec(
          text,
        );
      if (match) found.push(`${path}: ${match[0]}`);
    }
    expect(found).toEqual([]);
  });
});

describe("globals that do IO, tell the time or draw at random", () => {
  /** Each global, and the files that own it. */
  const owners: Record<string, RegExp> = {
    "Date.now(": /^src\/(clock|main)\.ts$/,
    "performance.now(": /^src\/(clock|main)\.ts$|^src\/cli\//,
    "setTimeout(": /^src\/clock\.ts$/,
    "setInterval(": /^$/,
    "Math.random(": /^src\/main\.ts$/,
    "process.env": /^src\/main\.ts$|^src\/plugins\/(host|guard)[^/]*\.ts$/,
    "Bun.spawn": /^src\/plugins\/|^src\/cli\/(leased-command|picture)\.ts$/,
    "fetch(": /^src\/(cli|plugins)\/|^src\/http\/|^src\/(webhooks\/post|models\/http-call)\.ts$/,
  };

  test("appear only in the adapters that own them", async () => {
    const wrong: string[] = [];
    for (const path of await filesOf("src/**/*.ts")) {
      const code = (await textOf(path)).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      for (const [name, owner] of Object.entries(owners)) {
        const called = new RegExp(`(?<![\\w.#])${name.replaceAll(/[.(]/g, "\\$&")}`);
        if (called.test(code) && !owner.test(path)) wrong.push(`${path}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
