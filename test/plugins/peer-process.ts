/** A process at the far side of a transport, over lines or frames. */

import { join } from "node:path";
import { openFrameTransport } from "../../src/plugins/frame-transport.ts";
import { openLineTransport } from "../../src/plugins/line-transport.ts";
import { spawnPlugin } from "../../src/plugins/plugin-process.ts";
import type { Transport } from "../../src/plugins/transport.ts";
import { clock, fixtures, openSandbox, selfFromSource } from "./harness.ts";

export type Carrier = "lines" | "frames";
export const carriers: readonly Carrier[] = ["lines", "frames"];

export interface Peer {
  pid: number;
  transport: Transport;
  notices: unknown[];
  junk: string[];
  /** Kills it and closes its sockets. */
  end(): Promise<void>;
}

/** Starts the peer of the fixtures. */
export async function startPeer(carrier: Carrier): Promise<Peer> {
  const notices: unknown[] = [];
  const junk: string[] = [];
  const spawned = spawnPlugin({
    plugin: "peer",
    runId: "transport",
    instance: 1,
    selfCommand: selfFromSource,
    clock,
    sandbox: () => ({ ok: true, plan: openSandbox }),
    command: [process.execPath, join(fixtures, "peer.ts"), carrier],
    folder: fixtures,
    environment: { PATH: process.env.PATH ?? "" },
    cgroupProcsFiles: [],
    niceness: null,
    limitProcesses: false,
    oomScoreAdj: null,
    channel: carrier === "lines" ? "stdin" : "calls",
  });
  if (!spawned.ok) throw new Error(spawned.message);
  const { pid, fds, exited } = spawned.process;
  const events = {
    notice: (notice: unknown) => void notices.push(notice),
    junk: (what: string) => void junk.push(what),
  };
  const open =
    carrier === "lines"
      ? await openLineTransport(fds, clock, events)
      : await openFrameTransport(fds.channel, clock, events);
  const { transport } = open;
  let running = true;
  void exited.then(() => {
    running = false;
    transport.close("crashed", "it ended");
  });
  const end = async () => {
    if (running) process.kill(pid, "SIGKILL");
    await exited;
    open.dispose();
  };
  return { pid, transport, notices, junk, end };
}
