/** What a program opens to compute on a graphics card. */

import { existsSync, readdirSync } from "node:fs";
import type { Root } from "./cgroups.ts";

/** The kernel's own interfaces for rendering and for AMD's computing. */
const shared = ["dri", "kfd"];
/** NVIDIA's cards, and what its driver puts beside them: nvidiactl, nvidia-uvm, nvidia-caps. */
const nvidia = /^nvidia/;

/** Paths below /dev, those that are there; none on a host without a card. */
export function graphicsDevices(root: Root = ""): string[] {
  if (!existsSync(`${root}/dev`)) return [];
  return readdirSync(`${root}/dev`)
    .filter((name) => shared.includes(name) || nvidia.test(name))
    .sort()
    .map((name) => `/dev/${name}`);
}
