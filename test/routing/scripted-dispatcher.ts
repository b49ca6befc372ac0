import type { Clock } from "../../src/clock.ts";
import type { BreakerGate, DispatchAnswer, Dispatcher, Resolution } from "../../src/routing/dispatcher.ts";
import type { PluginRequest } from "../../src/sdk/plugin.ts";

/**
 * How a plugin answers: after `afterMs`, with `answer`, or what it yields for each call; null: never; "throws": the dispatcher
 * itself fails.
 */
export interface Behaviour {
  afterMs: number;
  answer: DispatchAnswer | null | "throws" | (() => DispatchAnswer);
}

export const ok: Behaviour = { afterMs: 1, answer: { ok: true, result: "fine" } };

interface Call {
  plugin: string;
  request: PluginRequest;
  timeoutMs: number;
  signal: AbortSignal;
}

/** Plugins named as their platforms, by script. */
export class ScriptedDispatcher implements Dispatcher {
  readonly resolutions = new Map<string, Resolution>();
  readonly behaviour = new Map<string, Behaviour>();
  readonly calls: Call[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, platforms: readonly string[]) {
    this.#clock = clock;
    for (const platform of platforms) this.set(platform, {});
  }

  set(platform: string, change: Partial<Resolution>): void {
    const before = this.resolutions.get(platform) ?? { plugin: platform, state: "ready", reason: "it runs" };
    this.resolutions.set(platform, { ...before, ...change });
  }

  platforms(): readonly string[] {
    return [...this.resolutions.keys()];
  }

  resolve(platform: string): Resolution | null {
    return this.resolutions.get(platform) ?? null;
  }

  dispatch(
    plugin: string,
    request: PluginRequest,
    limits: { timeoutMs: number; signal: AbortSignal },
  ): Promise<DispatchAnswer> {
    this.calls.push({ plugin, request, ...limits });
    const { afterMs, answer } = this.behaviour.get(plugin) ?? ok;
    if (answer === "throws") throw new Error("no socket");
    return new Promise((resolve) => {
      if (answer) this.#clock.after(afterMs, () => resolve(typeof answer === "function" ? answer() : answer));
    });
  }
}

/** Breakers that permit unless told otherwise, and keep what was reported: "voice success", "voice failure timeout". */
export class ScriptedGate implements BreakerGate {
  readonly open = new Map<string, { reason: string; retryAfterMs: number | null }>();
  readonly reports: string[] = [];
  granted = 0;

  acquire(platform: string): ReturnType<BreakerGate["acquire"]> {
    const refused = this.open.get(platform);
    if (refused) return { permitted: false, ...refused };
    this.granted++;
    return {
      permitted: true,
      permit: {
        success: () => this.reports.push(`${platform} success`),
        failure: (kind) => this.reports.push(`${platform} failure ${kind}`),
        release: () => this.reports.push(`${platform} release`),
      },
    };
  }
}
