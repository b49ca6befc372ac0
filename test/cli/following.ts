/** A command of the compiled executable that goes on until it is ended, and its output as it comes. */

import { executable } from "../e2e/running-conductor.ts";

export function following(args: readonly string[], cwd: string) {
  const child = Bun.spawn([executable, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const seen = { out: "", err: new Response(child.stderr).text() };
  void (async () => {
    for await (const chunk of child.stdout) seen.out += Buffer.from(chunk).toString();
  })();
  return { child, seen };
}
