/** Runs before any test file is loaded: a fresh checkout has nothing of what the executable embeds yet. */
import { buildKernel, gatherBundledPlugins } from "../build.ts";

await buildKernel({ ifChanged: true });
gatherBundledPlugins({ ifChanged: true });
