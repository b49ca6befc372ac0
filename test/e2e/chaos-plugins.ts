/**
 * The four plugins of the chaos test. Each notes on disk what it carries out, before it answers, so that what a killed
 * process did is known too; and for a while it is slow or errs when a request of type `mode` says so.
 */

import { Glob } from "bun";

export const victims = ["alpha", "bravo", "charlie"] as const;
/** Nobody does anything to it; it answers in place of alpha. */
export const untouched = "steady";
export const platforms = [...victims, untouched] as const;
export type Victim = (typeof victims)[number];
export type Platform = (typeof platforms)[number];

/** The payload of a request of type `mode`. */
export interface Mode {
  mode: "slow" | "errs";
  forMs: number;
  /** How long a slow answer takes. */
  slowMs: number;
}

const bunSource = `import { appendFileSync } from "node:fs";
import { definePlugin } from "conductor/plugin";
let folder, mode = "well", slowMs = 0, untilMs = 0;
export default definePlugin({
  initialize: (_, { dataFolder }) => { folder = dataFolder; },
  healthCheck: () => ({ status: "healthy" }),
  handleRequest: async ({ type, payload, fallback }) => {
    if (type === "mode") {
      if (fallback) return "not for me";
      ({ mode, slowMs } = payload);
      untilMs = performance.now() + payload.forMs;
      return mode;
    }
    const is = performance.now() < untilMs ? mode : "well";
    if (is === "errs") throw new Error("told to err");
    const answer = crypto.randomUUID();
    appendFileSync(folder + "/carried-out", payload.id + "\\n");
    if (is === "slow") await Bun.sleep(slowMs);
    return { id: payload.id, answer };
  },
});
`;

const pythonSource = `import json, os, sys, threading, time, uuid
mode, slow_ms, until, writing = "well", 0, 0, threading.Lock()
def write(message):
    with writing:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
        sys.stdout.flush()
def handle(id, request):
    global mode, slow_ms, until
    payload = request["payload"]
    if request["type"] == "mode":
        mode, slow_ms, until = payload["mode"], payload["slowMs"], time.monotonic() + payload["forMs"] / 1000
        return write({"id": id, "result": mode})
    now = mode if time.monotonic() < until else "well"
    if now == "errs":
        return write({"id": id, "error": {"code": -32000, "message": "told to err"}})
    with open(os.path.join(os.path.dirname(os.environ["TMPDIR"]), "carried-out"), "a") as notes:
        notes.write(payload["id"] + "\\n")
    if now == "slow":
        time.sleep(slow_ms / 1000)
    write({"id": id, "result": {"id": payload["id"], "answer": str(uuid.uuid4())}})
for line in sys.stdin:
    call = json.loads(line)
    if "id" not in call:
        continue
    if call["method"] == "handle_request":
        threading.Thread(target=handle, args=(call["id"], call["params"]["request"]), daemon=True).start()
    elif call["method"] == "health_check":
        write({"id": call["id"], "result": {"status": "healthy"}})
    else:
        write({"id": call["id"], "result": {"ok": True}})
`;

const manifest = (name: Platform, timeout: string, more: string): string => `name: ${name}
version: 1.0.0
start: eager
permissions: { write: [data] }
limits: { requestTimeout: ${timeout}, concurrency: 64 }
recovery: { backoff: { initial: 100ms, max: 500ms }, maxRestarts: 1000 per 10m }
${more}`;

const asBun = (name: Platform, timeout: string, more = ""): Record<string, string> => ({
  [`plugins/${name}/plugin.yaml`]: manifest(name, timeout, `runtime: bun\nentry: index.ts\n${more}`),
  [`plugins/${name}/index.ts`]: bunSource,
});

/** A request to a victim fails after this. */
const timeout = "700ms";

export const chaosFiles: Record<string, string> = {
  ...asBun("alpha", timeout),
  "plugins/bravo/plugin.yaml": manifest("bravo", timeout, 'runtime: exec\ncommand: ["python3", "bot.py"]\n'),
  "plugins/bravo/bot.py": pythonSource,
  ...asBun("charlie", timeout, "instances: 2\n"),
  ...asBun("steady", "5s"),
};

/** Beside the budget: alpha has a fallback, bravo parks, breakers let a request through again soon. */
export const chaosConfig = `plugins: { dirs: [plugins], bundled: false }
breaker: { failures: 3, reset: 1s, mostReset: 2s }
deadLetters: { rate: 1000, onFailure: { bravo: park }, backoff: { initial: 200ms, max: 1s } }
routing:
  rules:
    - { name: alpha, when: { platform: alpha }, to: alpha, fallback: [steady] }
`;

/** How often the plugins carried out each request, by its id. */
export async function carriedOut(folder: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const path of new Glob("**/carried-out").scan({ cwd: folder, absolute: true })) {
    for (const id of (await Bun.file(path).text()).split("\n"))
      if (id !== "") counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
