/** What a plugin does with requests: usual ones, many at once, and strange ones. */

import { formatBytes, formatDuration } from "../../config/units.ts";
import type { Json } from "../../sdk/plugin.ts";
import type { CallResult } from "../transport.ts";
import { answerText, fail, failureText, isAnswered, type Ledger, ok, type Verdict } from "./check.ts";
import type { ManagedPlugin } from "./managed-plugin.ts";

/** Requests at once in `concurrent`, and as far as the plugin takes them in `memory`. */
const atOnce = 8;
/** Requests after which its memory is measured again, and how long they may take together. */
const memoryRequests = 200;
const memoryTimeMs = 10_000;
const largeBytes = 200_000;
const deepLevels = 40;

type RequestCheck = (plugin: ManagedPlugin) => Promise<Verdict>;

const checks: Record<string, RequestCheck> = {
  request: async (plugin) => verdictOf(plugin, await send(plugin)),
  concurrent,
  "nested-payload": async (plugin) => verdictOf(plugin, await send(plugin, { payload: nestedPayload() })),
  "large-payload": async (plugin) =>
    verdictOf(plugin, await send(plugin, { payload: { text: 'ü"\\ '.repeat(largeBytes / 5) } })),
  "unknown-type": async (plugin) =>
    verdictOf(plugin, await send(plugin, { type: "conductor.contract/unknown" })),
  memory,
};

export const requestCheckNames = Object.keys(checks);

/** A plugin that ended during a check has failed it, and is started again for the next one. */
export async function checkRequests(ledger: Ledger, plugin: ManagedPlugin): Promise<void> {
  for (const [name, run] of Object.entries(checks))
    await ledger.check(name, async () => {
      const started = await plugin.start();
      if (!started.ok) return fail(`it does not run: ${started.message}`);
      const { lastExit } = plugin.view;
      const verdict = await run(plugin);
      const ended = plugin.view.lastExit;
      return ended !== null && ended !== lastExit ? fail(`it ended: ${ended.text}`) : verdict;
    });
}

let sent = 0;

async function send(
  { manager, name, options, found }: ManagedPlugin,
  { type = options.type, payload = options.payload }: { type?: string; payload?: Json } = {},
): Promise<CallResult> {
  const { platform = name, limits } = found.manifest ?? {};
  const request = { id: `contract-${++sent}`, platform, type, payload };
  const timeoutMs = limits?.requestTimeoutMs ?? 5_000;
  const stream = { idleMs: timeoutMs, refuse: () => null };
  return gathered(await manager.dispatch(name, request, { timeoutMs, signal: options.signal, stream }));
}

/** Of an answer in chunks, all of them as a list. */
async function gathered(result: CallResult): Promise<CallResult> {
  if (!result.ok || !result.stream) return result;
  const chunks: Json[] = [];
  for await (const chunk of result.stream) chunks.push(chunk);
  return (await result.stream.done) ?? { ok: true, value: chunks };
}

/** What was written in place of an answer belongs to the failure. */
function verdictOf({ view }: ManagedPlugin, result: CallResult): Verdict {
  if (isAnswered(result)) return ok(answerText(result));
  const garbage = view.output.garbage === null ? "" : `; it writes what ${view.output.garbage}`;
  return fail(result.ok ? answerText(result) : `${failureText(result)}${garbage}`);
}

async function concurrent(plugin: ManagedPlugin): Promise<Verdict> {
  const before = plugin.view.output;
  const results = await Promise.all(Array.from({ length: atOnce }, () => send(plugin)));
  const missed = results.filter((result) => !isAnswered(result));
  const { unknownAnswers } = plugin.view.output;
  const extra = unknownAnswers - before.unknownAnswers;
  if (missed.length === 0 && extra === 0) return ok(`${atOnce} requests at once, each answered once`);
  const [first] = missed;
  const example = first && !first.ok ? ` (${failureText(first)})` : "";
  return fail(
    `of ${atOnce} requests at once ${missed.length} had no answer${example}; ${extra} answers had an id that was not asked or answered before`,
  );
}

/** What JSON can hold at its edges: every kind of text, the largest and the smallest numbers, deep nesting. */
function nestedPayload(): Json {
  let inner: Json = {
    texts: ["", "é ü 漢字 🚀 \u0000\u001f\u2028\u2029", '"\\/\b\f\n\r\t', "\ud800"],
    numbers: [0, -1, 0.1, 1e-300, 1.7976931348623157e308, 2 ** 53 + 2, -(2 ** 63)],
    others: [true, false, null, [], {}],
    '"id":9,"method":"shutdown"': '{"jsonrpc":"2.0","id":9}',
  };
  for (let level = 0; level < deepLevels; level++) inner = level % 2 ? [inner] : { "ключ 🔑": inner };
  return inner;
}

/** Reported and never judged: what is too much depends on what the plugin does. */
async function memory(plugin: ManagedPlugin): Promise<Verdict> {
  const { clock } = plugin.options;
  const before = plugin.memoryBytes();
  const startMs = clock.monotonicMs();
  let [count, unanswered] = [0, 0];
  while (unanswered === 0 && count < memoryRequests && clock.monotonicMs() - startMs < memoryTimeMs) {
    const results = await Promise.all(Array.from({ length: atOnce }, () => send(plugin)));
    count += results.length;
    unanswered += results.filter((result) => !isAnswered(result)).length;
  }
  const after = plugin.memoryBytes();
  const took = formatDuration(clock.monotonicMs() - startMs);
  if (unanswered > 0) return fail(`${unanswered} of ${count} requests in ${took} had no answer`);
  const amount = (bytes: number | null) => (bytes === null ? "unknown" : formatBytes(bytes));
  return ok(`${amount(before)} PSS before, ${amount(after)} after ${count} requests in ${took}`, {
    beforeBytes: before,
    afterBytes: after,
    requests: count,
  });
}
