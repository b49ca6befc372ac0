/**
 * The processes of one plugin.
 *
 *   start ──▶ coming ──admit──▶ member (takes requests) ──retire──▶ leaving (finishes what it has) ──▶ gone
 *               │ fails            │ ends by itself: told
 *               └──────▶ gone ◀────┘
 */

import { Balancer, type InstanceChoice } from "./balance.ts";
import type { EndReport, Instance, StartResult } from "./instance.ts";
import { Member } from "./member.ts";
import type { PluginVersion } from "./plugin-version.ts";

export interface CrewPorts {
  monotonicMs(): number;
  /** 0..1 */
  random(): number;
  /** A process that is not started yet. */
  create(version: PluginVersion): Instance;
  /** A member ended, and nobody here ended it; it takes no requests any more. */
  memberEnded(member: Member, report: EndReport): void;
  /** Some other process ended: one that was retired or stopped (`wanted`), or one that did not start. */
  otherEnded(instance: Instance, report: EndReport, wanted: boolean): void;
}

export type Enlisted =
  | { ok: true; instance: Instance }
  /** `stopped`: it was ended by `stop` meanwhile. `report` is null when there never was a process. */
  | { ok: false; stopped: boolean; message: string; report: EndReport | null };

const noWait = { urgent: true, graceMs: 0, idle: () => Promise.resolve() };

export class Crew {
  readonly #ports: CrewPorts;
  readonly #balancer: Balancer;
  readonly #coming = new Map<Instance, PluginVersion>();
  #members: readonly Member[] = [];
  readonly #leaving = new Set<Member>();
  /** Ended by us: their end is reported by who ended them. */
  readonly #ending = new Set<Instance>();

  constructor(ports: CrewPorts) {
    this.#ports = ports;
    this.#balancer = new Balancer(() => ports.random());
  }

  /** Those that take requests. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Every process there is, those that take requests first. */
  get instances(): Instance[] {
    const members = [...this.#members, ...this.#leaving].map(({ instance }) => instance);
    return [...members, ...this.#coming.keys()];
  }

  /** The one for the next request; null when there is none. */
  pick(choice?: InstanceChoice): Member | null {
    // One whose process ended a moment ago is told of when all of it is gone.
    const alive = this.#members.filter(({ instance }) => !instance.endedByItself);
    return this.#balancer.pick(alive, choice);
  }

  /** Starts one process of `version`. It takes no requests until it is admitted; a failed one is gone. */
  async start(version: PluginVersion): Promise<Enlisted> {
    const instance = this.#ports.create(version);
    this.#coming.set(instance, version);
    void instance.ended.then((report) => this.#ended(instance, report));
    const result = await instance.start();
    if (!this.#coming.has(instance) || this.#ending.has(instance))
      return { ok: false, stopped: true, message: "it was stopped while it started", report: null };
    return result.ok ? { ok: true, instance } : this.#failed(instance, result);
  }

  async #failed(instance: Instance, { message }: StartResult & { ok: false }): Promise<Enlisted> {
    const report = await this.#discard(instance, false);
    const said = instance.lastLine === null ? "" : `; last words: ${instance.lastLine}`;
    return { ok: false, stopped: false, message: `${message}${said}`, report };
  }

  /** Ends a process that was not admitted; null when it never ran, or somebody else ended it. */
  discard(instance: Instance): Promise<EndReport | null> {
    return this.#discard(instance, true);
  }

  async #discard(instance: Instance, wanted: boolean): Promise<EndReport | null> {
    if (!this.#coming.has(instance) || this.#ending.has(instance)) return null;
    this.#ending.add(instance);
    const report = instance.root
      ? await (instance.endedByItself ? instance.ended : instance.stop(noWait))
      : null;
    this.#coming.delete(instance);
    this.#ending.delete(instance);
    if (report) this.#ports.otherEnded(instance, report, wanted);
    return report;
  }

  /** From now on these take requests; false, and nothing changed, when one of them has ended already. */
  admit(instances: readonly Instance[]): boolean {
    const fresh: Member[] = [];
    const taken = new Set(this.#members.map(({ slot }) => slot));
    for (const instance of instances) {
      const version = this.#coming.get(instance);
      if (!version || instance.endedByItself || this.#ending.has(instance)) return false;
      let slot = 0;
      while (taken.has(slot)) slot++;
      taken.add(slot);
      fresh.push(new Member(instance, version, this.#ports.monotonicMs(), slot));
    }
    for (const { instance } of fresh) this.#coming.delete(instance);
    this.#members = [...this.#members, ...fresh];
    return true;
  }

  /** These take no further requests, finish what they have within `graceMs`, and end. */
  async retire(members: readonly Member[], graceMs: number): Promise<void> {
    this.#members = this.#members.filter((member) => !members.includes(member));
    for (const member of members) this.#leaving.add(member);
    await Promise.all(members.map((member) => this.#end(member, { urgent: false, graceMs })));
  }

  /** Ends every process; all take no further requests. Yields a report for each that had one. */
  async stop(how: { urgent: boolean; graceMs: number }): Promise<EndReport[]> {
    const members = [...this.#members, ...this.#leaving];
    for (const member of members) this.#leaving.add(member);
    this.#members = [];
    const coming = [...this.#coming.keys()].filter(({ root }) => root !== null);
    const reports = await Promise.all([
      ...members.map((member) => this.#end(member, how)),
      ...coming.map((instance) => this.#stopComing(instance, how)),
    ]);
    return reports.filter((report) => report !== null);
  }

  async #end(member: Member, how: { urgent: boolean; graceMs: number }): Promise<EndReport | null> {
    const { instance } = member;
    const first = !this.#ending.has(instance);
    this.#ending.add(instance);
    const report = await instance.stop({ ...how, idle: () => member.idle() });
    this.#leaving.delete(member);
    if (!first) return report;
    this.#ending.delete(instance);
    this.#ports.otherEnded(instance, report, true);
    return report;
  }

  async #stopComing(
    instance: Instance,
    how: { urgent: boolean; graceMs: number },
  ): Promise<EndReport | null> {
    if (this.#ending.has(instance)) {
      // Whoever discards it reports it.
      instance.hasten();
      return instance.endedByItself ? instance.ended : instance.stop(noWait);
    }
    this.#ending.add(instance);
    const report = await instance.stop({ ...how, idle: () => Promise.resolve() });
    this.#coming.delete(instance);
    this.#ending.delete(instance);
    this.#ports.otherEnded(instance, report, true);
    return report;
  }

  /** Kills at once what is being ended gently. */
  hasten(): void {
    for (const instance of this.#ending) instance.hasten();
  }

  #ended(instance: Instance, report: EndReport): void {
    if (this.#ending.has(instance)) return;
    const member = this.#members.find((each) => each.instance === instance);
    // One that is still coming is noticed by whoever waits for it.
    if (!member) return;
    this.#members = this.#members.filter((each) => each !== member);
    this.#ports.memberEnded(member, report);
  }
}
