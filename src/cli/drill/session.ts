/** The drills of one command: their cgroup, their files, who takes both away, and what the conductor in it holds at rest. */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, sleep } from "../../clock.ts";
import { formatBytes } from "../../config/units.ts";
import { type OwnRole, startOwnRole } from "../../plugins/own-role.ts";
import { CliError, exitCode } from "../command.ts";
import type { HogStep } from "./hog.ts";
import { DrillPlace } from "./place.ts";
import { runDrill, type SceneReport } from "./run.ts";
import { leastHogBytes, type SceneName, type Sizes, sceneOf, sizesFor } from "./scenes.ts";
import { Subject } from "./subject.ts";

export interface SessionOptions {
  clock: Clock;
  selfCommand: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  policy: string;
  emergencyRatio: number;
  hogBytes: number;
  signal: AbortSignal;
  say(line: string): void;
}

const MiB = 2 ** 20;
/** What a plugin holds in its first three seconds counts as what it takes to start. */
const settleMs = 3_300;
/** What rests may differ by so much of the budget from what was measured before. */
const mostDriftRatio = 0.03;
/** How often a drill is begun until what rests is what was measured before. */
const mostAttempts = 4;
/** The limit while what rests is not known yet. */
const roomFactor = 4;

export class DrillSession {
  readonly #options: SessionOptions;
  readonly #place: DrillPlace;
  readonly #cleaner: OwnRole;
  readonly #folder: string;
  #sizes: Sizes;
  #started = 0;

  /** Throws CliError where there is no cgroup to be had. */
  static open(options: SessionOptions): DrillSession {
    return new DrillSession(options, DrillPlace.take(`drill-${process.pid}`));
  }

  private constructor(options: SessionOptions, place: DrillPlace) {
    this.#options = options;
    this.#place = place;
    // Made by the conductor that needs it first, so that nothing lies there before the cleaner runs.
    this.#folder = join(tmpdir(), `conductor-drill-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
    const { version, folder } = place.run;
    this.#cleaner = startOwnRole(
      options.selfCommand,
      ["__drill-cleaner", String(version), folder, this.#folder, String(process.pid)],
      { folder: "/", environment: {} },
    );
    this.#sizes = sizesFor(options.hogBytes, 0);
  }

  get sizes(): Sizes {
    return this.#sizes;
  }

  /** Finds out what rests, with room to spare. Throws CliError when the hog is too small beside it. */
  async measure(): Promise<void> {
    const { say, hogBytes } = this.#options;
    say(`drill in ${this.#place.folder}: measuring what rests`);
    const roomBytes = roomFactor * hogBytes;
    this.#place.limit(roomBytes);
    const { subject, restBytes } = await this.#settled(roomBytes, []);
    await subject.stop();
    this.#size(restBytes);
  }

  /** One drill on a conductor of its own. */
  async run(name: SceneName): Promise<SceneReport> {
    const { clock, signal, say, emergencyRatio } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const sizes = this.#sizes;
      const scene = sceneOf(name, sizes);
      this.#place.limit(sizes.limitBytes);
      const { subject, restBytes } = await this.#settled(sizes.budgetBytes, scene.steps);
      const driftRatio = Math.abs(restBytes - sizes.restBytes) / sizes.budgetBytes;
      if (driftRatio <= mostDriftRatio || attempt === mostAttempts) {
        const place = this.#place;
        const report = await runDrill({ clock, place, subject, scene, sizes, emergencyRatio, signal, say });
        await subject.stop();
        return report;
      }
      await subject.stop();
      this.#size(restBytes);
      say(`${formatBytes(restBytes)} rest now: once more`);
    }
  }

  #size(restBytes: number): void {
    const { hogBytes } = this.#options;
    const least = leastHogBytes(restBytes);
    if (least > hogBytes)
      throw new CliError(
        `--size ${formatBytes(hogBytes)} is too small beside the ${formatBytes(restBytes)} that the drill's conductor holds: take at least --size ${Math.ceil(least / MiB)}MiB`,
        exitCode.usage,
      );
    this.#sizes = sizesFor(hogBytes, restBytes);
  }

  /** A conductor whose plugins have run for some seconds, and what it holds with them. */
  async #settled(
    budgetBytes: number,
    hog: readonly HogStep[],
  ): Promise<{ subject: Subject; restBytes: number }> {
    const { clock, signal, selfCommand, environment, policy } = this.#options;
    const subject = Subject.start({
      clock,
      selfCommand,
      environment,
      folder: join(this.#folder, String(++this.#started)),
      procsFile: this.#place.procsFile,
      policy,
      budgetBytes,
      hog,
    });
    this.#cleaner.tell(`${subject.role.pid}\n`);
    await subject.ready(signal);
    await sleep(clock, settleMs, signal);
    return { subject, restBytes: this.#place.heldBytes() };
  }

  /** Everything is taken away; yields what the cleaner says of what it could not take. */
  async close(): Promise<string[]> {
    this.#cleaner.hangUp();
    const said = await Array.fromAsync(this.#cleaner.lines);
    await this.#cleaner.exited;
    return said;
  }
}
