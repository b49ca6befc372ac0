/** Whether a plugin's module can be parsed at all, told before it is started. */

import { extname } from "node:path";
import { type FileState, lookAt, readBounded, sameState } from "./manifest-text.ts";
import { ScanCache } from "./scan-cache.ts";

/** A larger module is left to its start. */
const mostEntryBytes = 2 ** 20;

/** Most mistakes told of one file. */
const mostMistakes = 5;

const loaders: Readonly<Record<string, "ts" | "tsx" | "js" | "jsx">> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  // The runtime takes JSX in these too.
  ".js": "jsx",
  ".mjs": "jsx",
  ".cjs": "jsx",
  ".jsx": "jsx",
};

/** The parser for a file by its ending; null when it is no JavaScript or TypeScript. */
export const loaderOf = (file: string) => loaders[extname(file)] ?? null;

/** The parser, unlike the runtime, refuses "#!"; the places of what follows stay as they are. */
export const withoutShebang = (source: string): string => source.replace(/^#!/, "//");

type Mistake = { message: string; position?: { line: number; column: number } | null };

function mistakesIn(source: string, parser: Bun.Transpiler): Mistake[] {
  try {
    parser.scanImports(withoutShebang(source));
    return [];
  } catch (error) {
    return error instanceof AggregateError ? (error.errors as Mistake[]) : [error as Mistake];
  }
}

/** One parser a language: making one costs more than parsing a small file. */
const parsers = new Map<string, Bun.Transpiler>();

function parserOf(loader: "ts" | "tsx" | "js" | "jsx"): Bun.Transpiler {
  const parser = parsers.get(loader) ?? new Bun.Transpiler({ loader });
  parsers.set(loader, parser);
  return parser;
}

/** Parses entries, each once for every state of its file. */
export class EntrySyntax {
  readonly #cache = new ScanCache<{ state: FileState; errors: readonly string[] }>();

  /** Why the module at `path`, called `shownAs` in what is said, cannot be parsed; and what tells its state. */
  check(path: string, shownAs: string): { errors: readonly string[]; state: string } {
    const look = lookAt(path);
    const loader = loaderOf(path);
    if (look.kind !== "file") return { errors: [], state: look.kind };
    const { mtimeNs, ctimeNs, sizeBytes, inode } = look.state;
    const state = `${mtimeNs} ${ctimeNs} ${sizeBytes} ${inode}`;
    if (loader === null || sizeBytes > mostEntryBytes) return { errors: [], state };
    let known = this.#cache.get(path);
    if (!known || !sameState(known.state, look.state)) {
      const read = readBounded(path, mostEntryBytes);
      const errors =
        "problem" in read
          ? [read.problem]
          : mistakesIn(new TextDecoder().decode(read.bytes), parserOf(loader))
              .slice(0, mostMistakes)
              .map(({ message, position }) => {
                const place = position ? `:${position.line}:${position.column}` : "";
                return `${shownAs}${place}: syntax error: ${message}`;
              });
      known = { state: look.state, errors };
    }
    this.#cache.set(path, known);
    return { errors: known.errors, state };
  }

  endScan(): void {
    this.#cache.endScan();
  }
}
