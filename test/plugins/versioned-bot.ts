/** A plugin called bot whose folder a test writes in one version after the other, and a place where they are kept. */

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PluginManagerOptions } from "../../src/plugins/manager-options.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { eventually, type Harness, harness, processesOf, request } from "./harness.ts";

export interface BotVersion {
  /** Further lines of the manifest. */
  yaml?: string;
  /** Further members of the plugin. */
  code?: string;
  name?: string;
}

type Files = Record<string, string>;

/** `sleep` takes milliseconds; `stream` takes milliseconds a chunk, for ten chunks. */
const source = (version: string, code: string) => `
import { definePlugin } from "conductor/plugin";
export default definePlugin({
  handleRequest: async ({ type, payload }) => {
    if (type === "sleep") await Bun.sleep(payload as number);
    if (type !== "stream") return { version: "${version}", pid: process.pid };
    return (async function* () {
      for (let n = 0; n < 10; n++) { await Bun.sleep(payload as number); yield \`${version} \${n}\`; }
    })();
  },
  ${code}
});`;

export const botFiles = (
  version: string,
  { yaml = "", code = "", name = "bot" }: BotVersion = {},
): Files => ({
  "index.ts": source(version, code),
  "plugin.yaml": `name: ${name}\nversion: ${version}\nruntime: bun\nentry: index.ts\n${yaml}`,
});

export interface Bot extends Harness {
  /** Where versions are kept. */
  kept: string;
  write(version: string, how?: BotVersion): void;
  /** The version that answers now, or why none does. */
  version(): Promise<unknown>;
  ask(type: string, payload: Json): ReturnType<Harness["manager"]["dispatch"]>;
  /** Waits until so many versions are kept: that is done after a version is ready, and without holding up anything. */
  keeps(versions: number): Promise<void>;
  /** The folder of the version that was kept last. */
  newestKept(): string;
  /** What came of the swaps so far. */
  swaps(): string[];
  states(): string[];
  processes(): number[];
}

export const soon = { timeoutMs: 5_000 };

export interface BotOptions extends BotVersion {
  options?: Partial<PluginManagerOptions>;
  others?: Record<string, Files>;
}

/** Of what is kept, the newest first. */
function keptFolders(kept: string): string[] {
  const parent = join(kept, "bot");
  const names = existsSync(parent) ? readdirSync(parent).filter((name) => /^[0-9a-f]{64}$/.test(name)) : [];
  return names.map((name) => join(parent, name)).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}

function botOf(it: Harness, kept: string, end: () => Promise<void>): Bot {
  const { manager, root, runId } = it;
  return {
    ...it,
    kept,
    end,
    write: (version, how) => {
      for (const [file, text] of Object.entries(botFiles(version, how)))
        writeFileSync(join(root, "bot", file), text);
    },
    version: async () => {
      const answer = await manager.dispatch("bot", request(), soon);
      return answer.ok ? (answer.value as { version: string }).version : answer.message;
    },
    keeps: (versions) => eventually(() => keptFolders(kept).length === versions),
    newestKept: () => keptFolders(kept)[0] ?? "",
    ask: (type, payload) => manager.dispatch("bot", request(type, payload), soon),
    swaps: () => it.of("plugin.swapped").map(({ outcome }) => outcome),
    states: () => it.of("plugin.state").flatMap(({ plugin, to }) => (plugin === "bot" ? [to] : [])),
    processes: () => processesOf(runId),
  };
}

/** Found in its version 1.0.0, and not started. */
export async function foundBot({ options = {}, others = {}, ...first }: BotOptions = {}): Promise<Bot> {
  const kept = mkdtempSync(join(tmpdir(), "conductor-kept-"));
  const it = await harness(
    { bot: botFiles("1.0.0", first), ...others },
    { keptFolder: () => kept, ...options },
  );
  return botOf(it, kept, async () => {
    await it.end();
    rmSync(kept, { recursive: true, force: true });
  });
}

export async function startBot(how: BotOptions = {}): Promise<Bot> {
  const bot = await foundBot(how);
  await bot.manager.startAll();
  return bot;
}

/** The conductor ends and starts again, over the same folders. */
export async function restarted(bot: Bot): Promise<Bot> {
  await bot.manager.shutdown();
  const next = await harness({}, { dirs: [bot.root], keptFolder: () => bot.kept });
  await next.manager.startAll();
  return botOf({ ...next, root: bot.root }, bot.kept, async () => {
    await next.end();
    await bot.end();
  });
}
