import { describe, expect, test } from "bun:test";
import { coresOf, gpusOf, hardwareOf, modelFor } from "../../src/models/hardware.ts";

const GiB = 2 ** 30;
const facts = (cores: number, budgetGiB: number, gpuGiB = 0, diskGiB: number | null = null) => ({
  cores,
  budgetBytes: budgetGiB * GiB,
  gpus: gpuGiB > 0 ? [{ device: "renderD128", memoryBytes: gpuGiB * GiB }] : [],
  diskFreeBytes: diskGiB === null ? null : diskGiB * GiB,
});

describe("a machine", () => {
  test.each([
    [1, 64, 0, "tiny", 32],
    [4, 2, 0, "tiny", 1],
    [2, 4, 0, "small", 2],
    [2, 64, 0, "small", 32],
    [4, 12, 0, "medium", 6],
    [8, 31, 0, "medium", 15.5],
    [8, 32, 0, "large", 16],
    [4, 12, 8, "large", 7.2],
    [4, 12, 4, "medium", 6],
    [16, 64, 24, "large", 32],
  ])("of %d cores, %d GiB and %d GiB on a card is %s", (cores, budget, gpu, kind, mostGiB) => {
    const hardware = hardwareOf(facts(cores, budget, gpu));
    expect(hardware).toMatchObject({ kind, mostModelBytes: Math.floor(mostGiB * GiB) });
  });

  test("holds no model that its disk has no room for", () => {
    expect(hardwareOf(facts(4, 12, 0, 2)).mostModelBytes).toBe(2 * GiB);
  });

  test("tells the size of a model: 6 GiB are 8.9 billion weights of 4.85 bits and a fifth", () => {
    expect(hardwareOf(facts(4, 12)).billionWeights).toBe(8.9);
  });

  test("takes the best model that fits", () => {
    const models = [
      { name: "a", needBytes: null },
      { name: "b", needBytes: 7 * GiB },
      { name: "c", needBytes: 6 * GiB },
      { name: "d", needBytes: GiB },
    ];
    expect(modelFor(hardwareOf(facts(4, 12)), models)?.name).toBe("c");
    expect(modelFor(hardwareOf(facts(4, 1)), models)).toBeNull();
  });
});

describe("reads of the machine", () => {
  const files: Record<string, string> = {
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n",
    "/sys/class/drm/renderD128/device/mem_info_vram_total": "8573157376\n",
  };
  const folders: Record<string, string[]> = {
    "/dev": ["null", "nvidia0", "nvidiactl", "nvidia-uvm"],
    "/dev/dri": ["by-path", "card0", "renderD128", "renderD129"],
  };
  const reads = {
    text: (path: string) => files[path] ?? null,
    list: (path: string) => folders[path] ?? null,
  };

  test("find cards and their memory, and cores", () => {
    expect(gpusOf(reads)).toEqual([
      { device: "nvidia0", memoryBytes: null },
      { device: "renderD128", memoryBytes: 8_573_157_376 },
      { device: "renderD129", memoryBytes: null },
    ]);
    expect(coresOf(reads)).toBe(2);
  });

  test("tell of none where there is nothing to read", () => {
    const nothing = { text: () => null, list: () => null };
    expect(gpusOf(nothing)).toEqual([]);
    expect(coresOf(nothing)).toBeNull();
  });
});
