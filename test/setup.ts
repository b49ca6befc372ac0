/** Runs before any test file is loaded: a fresh checkout has nothing of what the executable embeds yet. */
import { buildKernels, gatherBundledPlugins } from "../build.ts";

await buildKernels({ ifChanged: true });
gatherBundledPlugins({ ifChanged: true });
