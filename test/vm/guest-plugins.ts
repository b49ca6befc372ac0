/** The plugins that the machine's conductors run: granted nothing, granted something, in a host, with a port for health. */

import { readFileSync } from "node:fs";

const prober = readFileSync("/duel/prober.py", "utf8");
export const memoryMiB = 64;
export const cores = 0.25;
export const processes = 24;
const webPort = 8_555;

const manifest = (name: string, lines: string[]): string =>
  `${[`name: ${name}`, "version: 1.0.0", "start: eager", ...lines].join("\n")}\n`;
const proberLines = ["runtime: exec", 'command: ["python3", "prober.py"]'];
const webLines = (port: number) => [
  ...["runtime: exec", "protocol: none", `health: { kind: http, port: ${port} }`],
  `command: ["python3", "-m", "http.server", "${port}", "--bind", "127.0.0.1"]`,
];
const limits = [
  `limits: { memory: ${memoryMiB}MiB, cpu: ${cores}, processes: ${processes}, requestTimeout: 60s }`,
  "recovery: { restart: always, backoff: { initial: 1s, max: 1s } }",
];

export const plugins = {
  bot: { "prober.py": prober, "plugin.yaml": manifest("bot", [...proberLines, ...limits]) },
  granted: {
    "prober.py": prober,
    "plugin.yaml": manifest("granted", [...proberLines, "permissions: { net: true, write: [kept] }"]),
  },
  hosted: {
    "plugin.yaml": manifest("hosted", ["runtime: bun", "entry: index.ts", "limits: { requestTimeout: 60s }"]),
    "index.ts": `import { definePlugin } from "conductor/plugin";
export default definePlugin({ handleRequest: async () => {
  const connected = await fetch("http://127.0.0.1:8420/healthz").then(() => "ok", () => "refused");
  const read = await Bun.file("/var/lib/conductor/token").text().then(() => "ok", (error) => error.code);
  return [connected, read];
}, shutdown: async () => void await Bun.write("/var/lib/conductor/plugin-data/hosted/goodbye", "said") });`,
  },
  web: { "plugin.yaml": manifest("web", webLines(webPort)) },
  vouched: { "plugin.yaml": manifest("vouched", [...webLines(webPort + 1), "trust: true"]) },
};
