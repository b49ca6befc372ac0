/** Manifests of the plugins in test/fixtures/plugins. */

import { join } from "node:path";
import { root } from "./running-conductor.ts";

const rogue = join(root, "test/fixtures/plugins/rogue.py");

/** An exec plugin that misbehaves as `modes` say; `more` is further YAML. */
export const rogueManifest = (name: string, modes: readonly string[], more = ""): string =>
  `name: ${name}\nversion: 1.0.0\nruntime: exec\ncommand: ${JSON.stringify(["python3", rogue, ...modes])}\n${more}`;

/** A bun plugin that echoes; a request of type `sleep` takes as many milliseconds as it says. */
export const echoFiles = (name: string, more = ""): Record<string, string> => ({
  [`plugins/${name}/plugin.yaml`]: `name: ${name}\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n${more}`,
  [`plugins/${name}/index.ts`]: `import { definePlugin } from "conductor/plugin";
export default definePlugin({
  initialize: async () => {},
  healthCheck: () => ({ status: "healthy" }),
  handleRequest: async ({ type, payload }) => {
    if (type === "sleep") await Bun.sleep(payload);
    return { echo: payload };
  },
  shutdown: async () => {},
});
`,
});
