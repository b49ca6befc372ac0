/**
 * A plugin in many versions that counts what it was asked, so that "answered exactly once, by one process" can be proven
 * from both ends: by the ids that the client got back, and by how many each process was handed.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoopAnswer } from "./open-loop.ts";
import type { RunningConductor } from "./running-conductor.ts";

/** What one process was handed until its end, or until it was asked. */
export interface Tally {
  pid: number;
  version: string;
  /** Different ids. */
  handled: number;
  /** Ids that came again. */
  again: number;
}

interface Echo {
  id: string;
  version: string;
  pid: number;
}

export interface CountedVersion {
  version: string;
  runtime?: "bun" | "exec";
  /** Further lines of the manifest. */
  yaml?: string;
  /** It does not get through `initialize`, never ends it, or does not get through its health check. */
  fails?: "initialize" | "hangs" | "health";
}

const beginnings = {
  none: "",
  health: "",
  initialize: 'throw new Error("no key");',
  hangs: 'console.log("hangs"); return Bun.sleep(60_000);',
};

const bunSource = ({ version, fails }: CountedVersion): string => `
import { definePlugin } from "conductor/plugin";
const seen = new Set<string>();
let again = 0;
const tally = () => ({ pid: process.pid, version: "${version}", handled: seen.size, again });
export default definePlugin({
  initialize() { ${beginnings[fails ?? "none"]} },
  healthCheck: () => (${fails === "health" ? '{ status: "unhealthy", detail: "no disk" }' : '{ status: "healthy" }'}),
  handleRequest({ type, payload }) {
    if (type === "tally") return tally();
    const { id } = payload as { id: string };
    if (seen.has(id)) again++;
    seen.add(id);
    return { id, version: "${version}", pid: process.pid };
  },
  shutdown() { console.log("tally " + JSON.stringify(tally())); },
});`;

const pythonSource = ({ version, fails }: CountedVersion): string => `
import json, os, sys
seen, again = set(), 0
def tally():
    return {"pid": os.getpid(), "version": "${version}", "handled": len(seen), "again": again}
for line in sys.stdin:
    call = json.loads(line)
    if "id" not in call:
        continue
    result, method = {"ok": True}, call["method"]
    if method == "initialize" and ${fails === "initialize" ? "True" : "False"}:
        result = {"ok": False}
    elif method == "health_check":
        result = {"status": "${fails === "health" ? "unhealthy" : "healthy"}"}
    elif method == "handle_request":
        request = call["params"]["request"]
        if request["type"] == "tally":
            result = tally()
        else:
            id = request["payload"]["id"]
            again += id in seen
            seen.add(id)
            result = {"id": id, "version": "${version}", "pid": os.getpid()}
    elif method == "shutdown":
        print("tally " + json.dumps(tally()), file=sys.stderr, flush=True)
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}) + "\\n")
    sys.stdout.flush()
`;

/** The files of a version, by name. */
export function countedFiles(of: CountedVersion): Record<string, string> {
  const { version, runtime = "bun", yaml = "" } = of;
  const run = runtime === "bun" ? "entry: index.ts" : 'command: ["python3", "bot.py"]';
  const limits = "limits: { concurrency: 512, queue: 2000 }";
  const manifest = `name: bot\nversion: ${version}\nstart: eager\nruntime: ${runtime}\n${run}\n${limits}\n${yaml}`;
  const source = runtime === "bun" ? { "index.ts": bunSource(of) } : { "bot.py": pythonSource(of) };
  return { ...source, "plugin.yaml": manifest };
}

/** Writes a version into the plugin's folder, as an editor or a deployment would. */
export function writeCounted(folder: string, of: CountedVersion): void {
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(countedFiles(of))) writeFileSync(join(folder, file), text);
}

/** What every process of the plugin was handed: of those that ended from the log, of the others by asking. */
export async function talliesOf(conductor: RunningConductor, processes = 1): Promise<Tally[]> {
  const { logs } = await conductor.get<{ logs: { line: string }[] }>("/api/v1/plugins/bot/logs?lines=1000");
  const found = new Map<number, Tally>();
  for (const { line } of logs) {
    const text = /^tally (\{.*\})/.exec(line)?.[1];
    if (text) note(JSON.parse(text) as Tally);
  }
  // Requests go to the least busy process, so one asked while another is busy is another one.
  const { pids } = await conductor.plugin("bot");
  for (let round = 0; pids.some((pid) => !found.has(pid)) && round < 50; round++) {
    const asked = Array.from({ length: processes }, () => conductor.request("bot", null, "tally"));
    for (const { body } of await Promise.all(asked)) note(body.result as Tally);
  }
  return [...found.values()];

  function note(tally: Tally): void {
    found.set(tally.pid, tally);
  }
}

export interface Verdict {
  requests: number;
  /** Got no answer, another status than 200, or the answer to something else. */
  lost: string[];
  /** Answers beyond the first to one request. */
  answeredTwice: number;
  /** Handed to a process again, or to two. */
  handledTwice: number;
  /** Handed to a process, and not answered. */
  handledOnly: number;
  /** Answers by version, in the order in which versions first answered. */
  byVersion: Map<string, number>;
}

/** Whether each request was answered exactly once, by exactly one process. */
export function judged(answers: readonly LoopAnswer[], tallies: readonly Tally[]): Verdict {
  const byVersion = new Map<string, number>();
  const lost: string[] = [];
  const answeredBy = new Map<number, number>();
  for (const { id, status, body } of answers) {
    const echo = status === 200 ? (JSON.parse(body) as { result: Echo }).result : null;
    if (echo?.id !== id) {
      lost.push(`${id}: ${status} ${body.slice(0, 300)}`);
      continue;
    }
    byVersion.set(echo.version, (byVersion.get(echo.version) ?? 0) + 1);
    answeredBy.set(echo.pid, (answeredBy.get(echo.pid) ?? 0) + 1);
  }
  let [handledTwice, handledOnly] = [0, 0];
  for (const { pid, handled, again } of tallies) {
    handledTwice += again;
    // The ids of a process are different ones: what it was handed beyond its answers went to another one, or nowhere.
    handledOnly += handled - (answeredBy.get(pid) ?? 0);
    answeredBy.delete(pid);
  }
  const untold = [...answeredBy.keys()];
  if (untold.length > 0) throw new Error(`no tally of process ${untold.join(", ")}`);
  const answeredTwice = answers.reduce((sum, { more }) => sum + more, 0);
  return { requests: answers.length, lost, answeredTwice, handledTwice, handledOnly, byVersion };
}

/** Null when nothing was lost, and nothing answered or handled twice. */
export function complaint({ lost, answeredTwice, handledTwice, handledOnly }: Verdict): string | null {
  const wrong = [
    ...(lost.length > 0 ? [`${lost.length} lost, the first: ${lost[0]}`] : []),
    ...(answeredTwice > 0 ? [`${answeredTwice} answered twice`] : []),
    ...(handledTwice > 0 ? [`${handledTwice} handled twice`] : []),
    ...(handledOnly !== 0 ? [`${handledOnly} handled beyond what was answered`] : []),
  ];
  return wrong.length > 0 ? wrong.join("; ") : null;
}
