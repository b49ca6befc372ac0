/** Starts this program once more, in another role of its own. */

export interface OwnRole {
  pid: number;
  /** The exit code; null after a signal. Never rejects. */
  exited: Promise<number | null>;
  /** What it writes to stderr, line by line, until it ends. */
  lines: AsyncIterable<string>;
  /** Writes to its stdin. */
  tell(text: string): void;
  /** Ends its stdin. */
  hangUp(): void;
  kill(signal: NodeJS.Signals): void;
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/** Starts it in a session of its own, so that what is typed at the terminal ends the caller alone. Throws what the system says. */
export function startOwnRole(
  selfCommand: readonly string[],
  args: readonly string[],
  options: { folder: string; environment: Readonly<Record<string, string>> },
): OwnRole {
  const child = Bun.spawn([...selfCommand, ...args], {
    cwd: options.folder,
    env: options.environment,
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
  });
  return {
    pid: child.pid,
    exited: child.exited.then(() => child.exitCode),
    lines: linesOf(child.stderr),
    tell: (text) => {
      child.stdin.write(text);
      child.stdin.flush();
    },
    hangUp: () => void child.stdin.end(),
    kill: (signal) => child.kill(signal),
  };
}
