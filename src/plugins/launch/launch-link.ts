/** The conductor's end of the socket to a launcher: sends what to start, and hears what took effect. */

import type { Clock } from "../../clock.ts";
import { ByteSocket } from "../byte-socket.ts";
import { type LaunchMessage, type LaunchReport, type LaunchSpec, longestSpecBytes } from "./spec.ts";
import { filtered } from "./system-call-filter.ts";

/** A launcher is done within milliseconds; one that is not, is ended. */
const deadlineMs = 10_000;
/** A report is far smaller. */
const longestAnswerBytes = 64 * 1024;

export type Launched = { ok: true; report: LaunchReport } | { ok: false; message: string };

function outcome(text: string): Launched {
  let report: LaunchReport | null = null;
  for (const line of text.split("\n").filter(Boolean)) {
    const message = JSON.parse(line) as LaunchMessage;
    if ("failure" in message) return { ok: false, message: message.failure };
    report = message.report;
  }
  return report === null
    ? {
        ok: false,
        message: `its launcher ended before it started anything; where ${filtered.missing}, ${filtered.remedy}`,
      }
    : { ok: true, report };
}

/** Sends the spec and waits for the end of the socket, which is the exec of the program. Never rejects. */
export async function launchOver(fd: number, spec: LaunchSpec, clock: Clock): Promise<Launched> {
  const bytes = Buffer.from(`${JSON.stringify(spec)}\n`);
  const done = Promise.withResolvers<Launched>();
  const deadline = clock.after(deadlineMs, () =>
    done.resolve({ ok: false, message: `its launcher did not finish within ${deadlineMs / 1_000} s` }),
  );
  let text = "";
  try {
    const socket = await ByteSocket.open(fd, clock, {
      data: (chunk) => {
        if (text.length < longestAnswerBytes) text += chunk.toString("utf8");
      },
      closed: () => done.resolve(outcome(text)),
    });
    if (bytes.length > longestSpecBytes || !socket.write(bytes))
      done.resolve({ ok: false, message: `cannot be started: its environment takes ${bytes.length} bytes` });
    const launched = await done.promise;
    socket.close();
    return launched;
  } catch (error) {
    return { ok: false, message: `its launcher cannot be reached: ${error}` };
  } finally {
    deadline.cancel();
  }
}
