/**
 * What the HTTP interface adds to a request: POST /api/v1/requests over keep-alive connections, paced at 1,000 a second
 * and as fast as it goes, beside a bare Bun.serve in the same process; with the compilers, and without them as
 * `conductor serve` runs.
 *
 *   bun test/bench/http.ts [--seconds 5] [-o json]
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The mission allows 10 ms at p99; the aim is ours. */
export const aimP99Us = 1_000;
const connections = 10;

export interface HttpTiming {
  compilers: "on" | "off";
  server: "bare" | "app";
  p50Us: number;
  p99Us: number;
  /** The median of every second's own p99: what another program does to the machine in one of them weighs less. */
  usualP99Us: number;
  maxPerSecond: number;
}

export interface AccessorTiming {
  compilers: "on" | "off";
  resolveUs: number;
  expectedUs: number;
  listUs: number;
}

const body = JSON.stringify({
  platform: "p0",
  type: "message",
  payload: { text: "hello", tags: ["a", "b"] },
});

/** One connection, one request at a time. */
class Connection {
  #answered: (() => void) | null = null;
  #got = "";

  private constructor(
    private readonly socket: Socket,
    private readonly text: string,
  ) {
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk.toString("latin1")));
  }

  static open(port: number): Promise<Connection> {
    const head = `POST /api/v1/requests HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json`;
    const text = `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(new Connection(socket, text)));
      socket.on("error", reject);
    });
  }

  /** Microseconds from the request to the whole answer. */
  async ask(): Promise<number> {
    const begin = Bun.nanoseconds();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#answered = resolve;
    this.socket.write(this.text);
    await promise;
    return (Bun.nanoseconds() - begin) / 1_000;
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: string): void {
    this.#got += chunk;
    const end = this.#got.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(this.#got)?.[1] ?? Number.NaN);
    if (end < 0 || this.#got.length < end + 4 + length) return;
    if (!this.#got.startsWith("HTTP/1.1 200")) throw new Error(this.#got.slice(0, 500));
    this.#got = "";
    this.#answered?.();
  }
}

/** One request a millisecond, on the ten connections in turn; late ones are caught up. */
async function paced(open: readonly Connection[], seconds: number): Promise<number[]> {
  const timesUs: number[] = [];
  const beginMs = performance.now();
  const lane = async (each: Connection, first: number) => {
    for (let index = first; index < seconds * 1_000; index += open.length) {
      const waitMs = beginMs + index - performance.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      timesUs.push(await each.ask());
    }
  };
  await Promise.all(open.map(lane));
  return timesUs;
}

async function fastest(open: readonly Connection[], seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  let asked = 0;
  const keepAsking = async (each: Connection) => {
    while (performance.now() < endMs) {
      await each.ask();
      asked++;
    }
  };
  await Promise.all(open.map(keepAsking));
  return asked / seconds;
}

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;

async function measure(port: number, seconds: number): Promise<Omit<HttpTiming, "compilers" | "server">> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  await fastest(open, seconds / 3);
  const each1: number[][] = [];
  for (let second = 0; second < seconds; second++) each1.push(await paced(open, 1));
  const maxPerSecond = await fastest(open, seconds / 2);
  for (const each of open) each.close();
  const p99sUs = each1.map((timesUs) => quantile(timesUs, 0.99));
  const timesUs = each1.flat();
  return {
    p50Us: quantile(timesUs, 0.5),
    p99Us: quantile(timesUs, 0.99),
    usualP99Us: quantile(p99sUs, 0.5),
    maxPerSecond,
  };
}

/** Both servers, with and without compilers; `seconds` of paced load each. */
export async function benchHttp(
  seconds = 3,
): Promise<{ timings: HttpTiming[]; accessors: AccessorTiming[] }> {
  const timings: HttpTiming[] = [];
  const accessors: AccessorTiming[] = [];
  for (const compilers of ["on", "off"] as const) {
    const child = Bun.spawn(
      [process.execPath, "--no-env-file", join(import.meta.dir, "../http/benched-server-process.ts")],
      {
        env: { ...process.env, ...(compilers === "off" ? { BUN_JSC_useJIT: "0" } : {}) },
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    try {
      const { value } = await child.stdout.getReader().read();
      const { app, bare, ...rest } = JSON.parse(new TextDecoder().decode(value)) as AccessorTiming & {
        app: number;
        bare: number;
      };
      accessors.push({ ...rest, compilers });
      timings.push({ compilers, server: "bare", ...(await measure(bare, seconds)) });
      timings.push({ compilers, server: "app", ...(await measure(app, seconds)) });
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  }
  return { timings, accessors };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seconds: { type: "string", default: "5" }, output: { type: "string", short: "o" } },
  });
  const { timings, accessors } = await benchHttp(Number(values.seconds));
  if (values.output === "json") console.log(JSON.stringify({ aimP99Us, timings, accessors }, null, 2));
  else {
    for (const { compilers, server, p50Us, p99Us, usualP99Us, maxPerSecond } of timings)
      console.log(
        `compilers ${compilers.padEnd(3)} ${server.padEnd(4)} at 1,000/s: p50 ${p50Us.toFixed(0)} µs, p99 ${p99Us.toFixed(0)} µs (in most seconds ${usualP99Us.toFixed(0)}; aim < ${aimP99Us}); at most ${maxPerSecond.toFixed(0)}/s`,
      );
    for (const { compilers, resolveUs, expectedUs, listUs } of accessors)
      console.log(
        `compilers ${compilers.padEnd(3)} 400 plugins: resolve ${resolveUs.toFixed(2)} µs, who is checked ${expectedUs.toFixed(1)} µs, full list ${listUs.toFixed(0)} µs`,
      );
  }
}
