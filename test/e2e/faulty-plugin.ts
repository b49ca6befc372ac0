/** One plugin that misbehaves, in either runtime: its files, and what a test asks of it and about it. */

import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type PluginInfo, type RunningConductor, root, until } from "./running-conductor.ts";

export type Runtime = "bun" | "exec";

const source = (file: string): string => readFileSync(join(root, "test/fixtures/plugins", file), "utf8");

/** A plugin as in faulty.py or faulty.ts; `more` is further YAML. */
export function faultyFiles(
  name: string,
  runtime: Runtime,
  modes: readonly string[] = [],
  more = "",
): Record<string, string> {
  const head = `name: ${name}\nversion: 1.0.0\nruntime: ${runtime}\n${more}`;
  if (runtime === "exec")
    return {
      [`plugins/${name}/plugin.yaml`]: `${head}command: ${JSON.stringify(["python3", "faulty.py", ...modes])}\n`,
      [`plugins/${name}/faulty.py`]: source("faulty.py"),
    };
  return {
    [`plugins/${name}/plugin.yaml`]: `${head}entry: index.ts\n`,
    [`plugins/${name}/index.ts`]: `import { faulty } from "./faulty.ts";\nexport default faulty(${JSON.stringify(modes)});\n`,
    [`plugins/${name}/faulty.ts`]: source("faulty.ts"),
  };
}

export interface Answer {
  status: number;
  /** Of the problem document; undefined where it was answered. */
  code: string | undefined;
  detail: string;
  body: Record<string, unknown>;
  tookMs: number;
}

export class FaultyPlugin {
  constructor(
    readonly conductor: RunningConductor,
    readonly name: string,
  ) {}

  get folder(): string {
    return join(this.conductor.folder, "plugins", this.name);
  }

  /** Asks for a fault, or with `message` for an echo. */
  async ask(type: string, payload: unknown = 0): Promise<Answer> {
    const beganMs = performance.now();
    const { status, body } = await this.conductor.request(this.name, payload, type);
    const { code, detail } = body as { code?: string; detail?: string };
    return { status, code, detail: detail ?? "", body, tookMs: performance.now() - beganMs };
  }

  view(): Promise<PluginInfo> {
    return this.conductor.plugin(this.name);
  }

  /** Waits until it is in `state`, with a reason that matches. */
  async reaches(state: string, reason: RegExp = /./, timeoutMs = 8_000): Promise<PluginInfo> {
    let last: PluginInfo | null = null;
    try {
      return await until(`${this.name} is ${state}`, timeoutMs, async () => {
        last = await this.view();
        return last.state === state && reason.test(last.reason) ? last : null;
      });
    } catch (error) {
      const { state: is, reason: why } = (last ?? {}) as Partial<PluginInfo>;
      throw new Error(`${error}; it is ${is}: ${why}`);
    }
  }

  /** An order of a person; yields the status. */
  async order(action: string): Promise<number> {
    const headers = { Authorization: `Bearer ${this.conductor.token}` };
    const path = `/api/v1/plugins/${this.name}/${action}`;
    const response = await this.conductor.post(path, {}, headers);
    await response.text();
    return response.status;
  }

  /** plugin_failure_total of its platform, by error_type. */
  async failures(): Promise<Record<string, number>> {
    const text = await (await fetch(this.conductor.url("/metrics"))).text();
    const line = new RegExp(
      `^plugin_failure_total\\{platform="${this.name}",error_type="([a-z_]+)"\\} (\\d+)$`,
      "gm",
    );
    return Object.fromEntries([...text.matchAll(line)].map(([, type, count]) => [type, Number(count)]));
  }

  /** It was asked and its process ended; then it is started again, and answers. Yields how it ended. */
  async crashesAndComesBack(
    type: string,
    payload: number,
    how: RegExp,
    errorType = "crash",
  ): Promise<string> {
    await this.answers();
    const answer = await this.ask(type, payload);
    expect([answer.status, answer.code]).toEqual([503, "plugin_crashed"]);
    expect(answer.tookMs).toBeLessThan(10_000);
    const { restarts, lastExit } = await until(`${this.name} was restarted`, 8_000, async () => {
      const view = await this.view();
      return view.restarts === 1 && view.state === "ready" ? view : null;
    });
    expect([restarts, lastExit?.text]).toEqual([1, expect.stringMatching(how)]);
    expect(answer.detail).toMatch(how);
    await this.answers();
    // While it was at it, it may have answered no health check.
    const failures = Object.entries(await this.failures()).filter(([type]) => !type.startsWith("health_"));
    expect(Object.fromEntries(failures)).toEqual({ [errorType]: 1 });
    return `503 plugin_crashed, "${lastExit?.text}", restarted once`;
  }

  async answers(): Promise<void> {
    const { status, detail, body } = await this.ask("message", "here");
    expect([status, detail, body.result]).toEqual([200, "", { echo: "here" }]);
  }
}
