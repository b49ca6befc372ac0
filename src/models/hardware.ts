/** What kind of machine this is for a language model: from what /proc, /dev and /sys tell. */

import { formatBytes } from "../config/units.ts";

export interface Gpu {
  /** Its device, such as "nvidia0" or "renderD128". */
  device: string;
  /** Null: the kernel does not tell. */
  memoryBytes: number | null;
}

export interface HardwareFacts {
  cores: number;
  /** What conductor may use in all, not what is free. */
  budgetBytes: number;
  gpus: readonly Gpu[];
  /** Where the models lie; null: not known. */
  diskFreeBytes: number | null;
}

const classes = ["tiny", "small", "medium", "large"] as const;
export type HardwareClass = (typeof classes)[number];

export interface Hardware {
  kind: HardwareClass;
  /** Bytes of a model with its cache that leave room for everything else: half of the budget, or the graphics memory. */
  mostModelBytes: number;
  /** Such a model, in billions of weights at four bits. */
  billionWeights: number;
  /** One sentence for a person. */
  because: string;
}

const GiB = 2 ** 30;
/** Classes by cores and budget: both have to be reached. */
const least: Record<HardwareClass, { cores: number; budgetBytes: number }> = {
  tiny: { cores: 0, budgetBytes: 0 },
  small: { cores: 2, budgetBytes: 4 * GiB },
  medium: { cores: 4, budgetBytes: 12 * GiB },
  large: { cores: 8, budgetBytes: 32 * GiB },
};
/** From so much graphics memory on, its class is one higher. */
const usefulGpuBytes = 6 * GiB;
/** Q4_K_M holds some 4.85 bits a weight (llama.cpp, examples/quantize), and the cache and buffers a fifth more. */
const bytesPerWeight = (4.85 / 8) * 1.2;

/** The class of a machine, and the model that fits it. */
export function hardwareOf(facts: HardwareFacts): Hardware {
  const { cores, budgetBytes, gpus, diskFreeBytes } = facts;
  const gpuBytes = Math.max(0, ...gpus.map(({ memoryBytes }) => memoryBytes ?? 0));
  const byItself = classes.findLastIndex(
    (each) => cores >= least[each].cores && budgetBytes >= least[each].budgetBytes,
  );
  const raised = gpuBytes >= usefulGpuBytes ? byItself + 1 : byItself;
  const kind = classes[Math.min(raised, classes.length - 1)] ?? "tiny";
  const roomBytes = Math.max(budgetBytes / 2, gpuBytes * 0.9);
  const mostModelBytes = Math.floor(Math.min(roomBytes, diskFreeBytes ?? Infinity));
  const gpuText = gpuBytes > 0 ? `, ${formatBytes(gpuBytes)} on a graphics card` : "";
  return {
    kind,
    mostModelBytes,
    billionWeights: Number((mostModelBytes / bytesPerWeight / 1e9).toFixed(1)),
    because: `${cores} cores and a budget of ${formatBytes(budgetBytes)}${gpuText}`,
  };
}

/** The first of `models` (the best first) that fits; null when none does or its bytes are not known. */
export function modelFor<M extends { needBytes: number | null }>(
  hardware: Hardware,
  models: readonly M[],
): M | null {
  return models.find(({ needBytes }) => needBytes !== null && needBytes <= hardware.mostModelBytes) ?? null;
}

/** Reads of the machine; null: there is no such file or folder. */
export interface HardwareReads {
  text(path: string): string | null;
  list(path: string): readonly string[] | null;
}

/** Graphics cards by their devices: NVIDIA's own, and what the kernel renders with. The latter tell their memory (amdgpu). */
export function gpusOf(reads: HardwareReads): Gpu[] {
  const nvidia = (reads.list("/dev") ?? []).filter((name) => /^nvidia\d+$/.test(name));
  const render = (reads.list("/dev/dri") ?? []).filter((name) => /^renderD\d+$/.test(name));
  return [
    ...nvidia.map((device) => ({ device, memoryBytes: null })),
    ...render.map((device) => {
      const text = reads.text(`/sys/class/drm/${device}/device/mem_info_vram_total`);
      const bytes = text === null ? Number.NaN : Number(text.trim());
      return { device, memoryBytes: Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null };
    }),
  ];
}

/** Logical cores in /proc/cpuinfo; null when it tells of none. */
export function coresOf(reads: HardwareReads): number | null {
  const found = reads.text("/proc/cpuinfo")?.match(/^processor\s*:/gm)?.length ?? 0;
  return found > 0 ? found : null;
}
