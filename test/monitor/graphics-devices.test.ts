import { expect, test } from "bun:test";
import { graphicsDevices } from "../../src/monitor/graphics-devices.ts";
import { FixtureHost } from "./fixture-host.ts";

test("the devices of graphics cards, and no others", () => {
  const host = new FixtureHost({ "/dev/null": "", "/dev/snd/timer": "" });
  try {
    expect(graphicsDevices(host.root)).toEqual([]);
    host.write({ "/dev/nvidiactl": "", "/dev/nvidia0": "", "/dev/kfd": "", "/dev/dri/renderD128": "" });
    expect(graphicsDevices(host.root)).toEqual(["/dev/dri", "/dev/kfd", "/dev/nvidia0", "/dev/nvidiactl"]);
    host.delete("/dev");
    expect(graphicsDevices(host.root)).toEqual([]);
  } finally {
    host.remove();
  }
});
