import type { Publisher } from "../../src/events/bus.ts";
import type { EventMap, EventName } from "../../src/events/events.ts";

/** Keeps what was published, as "from>to" and in full. */
export class Recorder implements Publisher {
  readonly events: { name: EventName; data: Record<string, unknown> }[] = [];

  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void {
    this.events.push({ name, data: { ...data } });
  }

  /** The moves announced so far, "voice closed>open". */
  moves(): string[] {
    return this.events.map(({ data }) => `${data.platform} ${data.from}>${data.to}`);
  }
}
