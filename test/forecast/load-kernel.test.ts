import { describe, expect, test } from "bun:test";
import type { Forecast, Kernel, Series } from "../../src/forecast/forecaster.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { loadKernel, readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { compareKernels } from "../../src/forecast/self-test.ts";
import { bothKernels, forecastOf } from "./kernels.ts";

async function loadFrom(bytes: () => Promise<ArrayBuffer> | ArrayBuffer) {
  return await loadKernel({ readModule: async () => await bytes() });
}

/** The built module with every `find` replaced by `put`, both of one length. */
async function patchedModule(find: number[], put: number[]): Promise<ArrayBuffer> {
  const bytes = Buffer.from(await readEmbeddedModule());
  let at = bytes.indexOf(Buffer.from(find));
  if (at < 0) throw new Error("the module does not hold the bytes to patch");
  for (; at >= 0; at = bytes.indexOf(Buffer.from(find), at + 1)) Buffer.from(put).copy(bytes, at);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

const f64Bytes = (value: number): number[] => [...new Uint8Array(new Float64Array([value]).buffer)];

describe("loading a kernel", () => {
  test("takes the WASM kernel when it starts and gives the same bits", async () => {
    const { kernel, fellBackBecause } = await loadKernel();
    expect({ name: kernel.name, fellBackBecause }).toEqual({ name: "wasm", fellBackBecause: null });
  });

  test("takes the JS kernel without a reason when asked to", async () => {
    const { kernel, fellBackBecause } = await loadKernel({ use: "js" });
    expect({ name: kernel.name, fellBackBecause }).toEqual({ name: "js", fellBackBecause: null });
  });

  test.each<[string, () => Promise<ArrayBuffer> | ArrayBuffer]>([
    ["no bytes", () => new ArrayBuffer(0)],
    ["no module", () => new TextEncoder().encode("not a module").buffer],
    ["a truncated module", async () => (await readEmbeddedModule()).slice(0, 700)],
    ["a file that cannot be read", () => Promise.reject(new Error("ENOENT: kernel.wasm"))],
  ])("falls back to the JS kernel, with the reason, on %s", async (_, bytes) => {
    const { kernel, fellBackBecause } = await loadFrom(bytes);
    expect(kernel.name).toBe("js");
    expect(fellBackBecause).toStartWith("the WASM kernel did not start: ");
    expect(fellBackBecause?.length).toBeGreaterThan(35);
    const series = kernel.createSeries();
    for (let i = 0; i < 20; i++) series.push(i * 5, i);
    expect(forecastOf(series).value).toBeCloseTo(79, 10);
  });

  test.each([
    ["that exports nothing", [], "none"],
    // One function, `abiVersion`, that answers 7.
    [
      "of another ABI",
      [
        ...[1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 14, 1, 10, ...Buffer.from("abiVersion"), 0, 0],
        ...[10, 6, 1, 4, 0, 0x41, 7, 0x0b],
      ],
      "7",
    ],
  ])("falls back on a module %s, and names the ABI", async (_, sections, found) => {
    const { kernel, fellBackBecause } = await loadFrom(
      () => new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, ...sections]).buffer,
    );
    expect(kernel.name).toBe("js");
    expect(fellBackBecause).toBe(
      `the WASM kernel did not start: the kernel speaks ABI ${found}, not 3: rebuild it`,
    );
  });

  test("falls back on a module that compiles and computes something else", async () => {
    // The cold interval's floor becomes twice as high: valid code, wrong numbers.
    const widened = await patchedModule([0x44, ...f64Bytes(0.01)], [0x44, ...f64Bytes(0.02)]);
    const { kernel, fellBackBecause } = await loadFrom(() => widened);
    expect(kernel.name).toBe("js");
    expect(fellBackBecause).toStartWith("the WASM kernel failed its self-test: window of 4: after push ");
  });

  test("refuses a limit out of range instead of falling back", async () => {
    const failure = await loadKernel({ seriesLimit: 0 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RangeError);
  });

  test("leaves every slot free after its self-test", async () => {
    const { kernel } = await loadKernel({ seriesLimit: 2 });
    expect(kernel.name).toBe("wasm");
    kernel.createSeries();
    kernel.createSeries();
    expect(() => kernel.createSeries()).toThrow("holds 2 series");
  });
});

describe("the self-test", () => {
  const fields = ["points", "atSeconds", "targetSeconds", "value", "smoothed", "lower", "upper"] as const;

  test.each([...fields, "slopePerSecond", "residualDeviation"] as const)(
    "notices one wrong last bit of %s in a ready forecast",
    async (field) => {
      const difference = compareKernels(
        altered((forecast) => {
          if (forecast.state === "ready" && forecast.points === 50) forecast[field] = nextUp(forecast[field]);
        }),
        createJsKernel(),
      );
      expect(difference).toStartWith("window of 50: after push ");
      expect(difference).toContain(`${field} is `);
    },
  );

  test("notices a wrong state and a sign of zero", () => {
    const wrongState = altered((forecast) => {
      forecast.state = "ready";
    });
    expect(compareKernels(wrongState, createJsKernel())).toContain("state is ready, not cold");
    const minusZero = altered((forecast) => {
      if (forecast.slopePerSecond === 0) forecast.slopePerSecond = -0;
    });
    expect(compareKernels(minusZero, createJsKernel())).toContain("slopePerSecond is");
  });

  test("finds no difference between the kernels as built", async () => {
    const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];
    expect(compareKernels(wasm, js)).toBeNull();
  });
});

/** The JS kernel with each forecast changed by `change` before it is answered. */
function altered(change: (forecast: Forecast) => void): Kernel {
  const kernel = createJsKernel();
  return {
    name: "wasm",
    createBatch: kernel.createBatch,
    createSeries(options) {
      const series = kernel.createSeries(options);
      const answer = series.forecast.bind(series);
      return Object.assign(series, {
        forecast() {
          const forecast = answer();
          if (forecast) change(forecast);
          return forecast;
        },
      }) satisfies Series;
    },
  };
}

/** The next double away from zero; 0 becomes the smallest. */
function nextUp(value: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  bits[0] = (bits[0] as bigint) + 1n;
  return new Float64Array(bits.buffer)[0] as number;
}
