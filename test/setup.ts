/** Runs before any test file is loaded: a fresh checkout has nothing of what the executable embeds yet. */
import fc from "fast-check";
import { buildKernels, gatherBundledPlugins } from "../build.ts";

await buildKernels({ ifChanged: true });
gatherBundledPlugins({ ifChanged: true });

/** Property tests try the same cases in each run; what fails prints this seed with its path. SEED=… tries others. */
fc.configureGlobal({ seed: Number(process.env.SEED ?? 20_261_130) });
