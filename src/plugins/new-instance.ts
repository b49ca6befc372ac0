/** A process of a plugin, wired to who is told what it writes. */

import { Instance } from "./instance.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { SupervisorPorts } from "./supervisor-ports.ts";

/** Kinds of junk that are noted in conductor's log, for each process. */
const mostKinds = 8;

/** Not started yet. `junk` is called with each thing it writes that is no message; a kind is noted once. */
export function newInstance(
  plugin: string,
  version: PluginVersion,
  ports: SupervisorPorts,
  junk: (what: string) => void,
): Instance {
  const seen = new Set<string>();
  return new Instance(ports.plan(version), {
    ...ports.instance,
    emitLog: (stream, line) => ports.emitLog(plugin, stream, line),
    junk: (what) => {
      junk(what);
      const kind = what.split(":")[0] ?? what;
      if (seen.has(kind) || seen.size >= mostKinds) return;
      seen.add(kind);
      ports.noted(plugin, `writes what ${what}`);
    },
  });
}
