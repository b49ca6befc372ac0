/**
 * The model server as a program of its own, for the engine that starts one:
 *   --port N   --busy N (looks answered with 503)   --hold MIB (memory that it fills)   --child (a process beside it)
 *   --deaf (does not end when asked)   --crash start|generate   --never (never listens)
 */

import { parseArgs } from "node:util";
import { ModelServer } from "./model-server.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    busy: { type: "string", default: "0" },
    hold: { type: "string", default: "0" },
    child: { type: "boolean", default: false },
    deaf: { type: "boolean", default: false },
    never: { type: "boolean", default: false },
    crash: { type: "string" },
  },
});

const crash = () => {
  console.error("no space left for the tensors");
  process.exit(3);
};

// Kept by the listener below, so that it stays.
const held = new Uint8Array(Number(values.hold) * 2 ** 20).fill(1);
if (values.deaf) process.on("SIGTERM", () => console.error(`holding ${held.length} bytes`));
if (values.child) Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
if (values.crash === "start") crash();
if (values.never) setInterval(() => held.length, 1_000);
else
  new ModelServer({
    port: Number(values.port),
    busyLooks: Number(values.busy),
    onGenerate: () => {
      if (values.crash === "generate") setImmediate(crash);
      if (held.length < 0) crash();
    },
  });
