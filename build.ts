/**
 * Builds everything that ships: what is embedded (`assembly/` to `dist/*.wasm` by asc, the files of the bundled
 * plugins and of the examples to `dist/*.plugins`), then the executable `dist/conductor`.
 *
 *   bun build.ts                    all of it
 *   bun build.ts --assets           only what is embedded
 *   bun build.ts --if-changed       nothing when no input is newer than the outputs
 *   bun build.ts --target linux-arm64   an executable for another platform, named after it
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "./package.json";

const root = import.meta.dir;
const kernelPath = join(root, "dist/kernel.wasm");
const adaptivePath = join(root, "dist/adaptive.wasm");
const bundledPath = join(root, "dist/bundled.plugins");
const examplesPath = join(root, "dist/examples.plugins");
const examplesFolder = "test/fixtures/examples";
const sdkSource = "src/sdk/plugin.ts";

/** Platforms whose Bun runtime the package registry serves, by the name a user types. */
const targets: Record<string, { bun: Bun.Build.CompileTarget; suffix: string }> = {
  "linux-x64": { bun: "bun-linux-x64", suffix: "" },
  "linux-x64-musl": { bun: "bun-linux-x64-musl", suffix: "" },
  "linux-arm64": { bun: "bun-linux-arm64", suffix: "" },
  "linux-arm64-musl": { bun: "bun-linux-arm64-musl", suffix: "" },
  "darwin-x64": { bun: "bun-darwin-x64", suffix: "" },
  "darwin-arm64": { bun: "bun-darwin-arm64", suffix: "" },
  "windows-x64": { bun: "bun-windows-x64", suffix: ".exe" },
};

function newestInput(...paths: string[]): number {
  const newestIn = (path: string): number => {
    const stat = statSync(path);
    if (!stat.isDirectory()) return stat.mtimeMs;
    return Math.max(0, ...readdirSync(path).map((name) => newestIn(join(path, name))));
  };
  return Math.max(...paths.map((path) => newestIn(join(root, path))));
}

const isFresh = (output: string, inputs: number): boolean =>
  existsSync(output) && statSync(output).mtimeMs > inputs;

/** Compiles the forecast kernels. Throws with asc's own messages when one does not compile. */
export async function buildKernels({ ifChanged = false } = {}): Promise<void> {
  const inputs = newestInput("assembly", "package.json", "build.ts");
  const modules = { "assembly/index.ts": kernelPath, "assembly/adaptive/index.ts": adaptivePath };
  for (const [source, output] of Object.entries(modules))
    if (!ifChanged || !isFresh(output, inputs)) await compileModule(source, output);
}

async function compileModule(source: string, output: string): Promise<void> {
  mkdirSync(join(root, "dist"), { recursive: true });
  const unfinished = `${output}.${process.pid}.tmp`;
  const asc = Bun.spawn(
    [
      process.execPath,
      join(root, "node_modules/assemblyscript/bin/asc.js"),
      source,
      ...["--outFile", unfinished],
      ...["--optimizeLevel", "3", "--shrinkLevel", "0", "--converge", "--noAssert"],
      ...["--runtime", "stub", "--enable", "simd", "--use", "abort="],
    ],
    { cwd: root, stdout: "pipe", stderr: "pipe", env: { ...process.env, BUN_BE_BUN: "1" } },
  );
  const [code, stderr] = await Promise.all([asc.exited, new Response(asc.stderr).text()]);
  if (code !== 0) throw new Error(`asc exited with ${code}:\n${stderr}`);
  renameSync(unfinished, output);
}

/** Text of every file below `folder`, by its path there. */
function textsIn(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = paths.filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(files.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

function writeTexts(output: string, texts: Record<string, string>): void {
  mkdirSync(join(root, "dist"), { recursive: true });
  const unfinished = `${output}.${process.pid}.tmp`;
  writeFileSync(unfinished, JSON.stringify(texts));
  renameSync(unfinished, output);
}

/**
 * Gathers the bundled plugins' files, as text by path, so that the executable can read their manifests and unpack
 * them. Their modules are embedded on their own: one file cannot be both text and module in a bundle. Beside them the
 * examples, which new plugins are made from, with the source of the SDK.
 */
export function gatherBundledPlugins({ ifChanged = false } = {}): void {
  if (!ifChanged || !isFresh(bundledPath, newestInput("plugins", "build.ts")))
    writeTexts(bundledPath, textsIn(join(root, "plugins")));
  if (ifChanged && isFresh(examplesPath, newestInput(examplesFolder, sdkSource, "build.ts"))) return;
  const sdk = readFileSync(join(root, sdkSource), "utf8");
  writeTexts(examplesPath, { ...textsIn(join(root, examplesFolder)), "conductor-plugin.ts": sdk });
}

function commit(): string {
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root, stderr: "ignore" });
  return git.success ? git.stdout.toString().trim() : "unknown";
}

async function buildExecutable(target: string | undefined, ifChanged: boolean): Promise<string> {
  const known = target === undefined ? undefined : targets[target];
  if (target !== undefined && !known)
    throw new Error(`--target ${target}: must be one of ${Object.keys(targets).join(", ")}`);
  const outfile = join(root, "dist", known ? `conductor-${target}${known.suffix}` : "conductor");
  const inputs = newestInput(
    "src",
    "assembly",
    "plugins",
    examplesFolder,
    "package.json",
    "bun.lock",
    "build.ts",
  );
  if (ifChanged && isFresh(outfile, inputs)) return outfile;
  // A folder of its own: the maps of the parts are written beside it, and are inside the executable all the same.
  const workshop = `${outfile}.${process.pid}.tmp`;
  const unfinished = join(workshop, "conductor");
  mkdirSync(workshop, { recursive: true });
  const result = await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    // A launcher or a host loads its own few files, not the whole of conductor: 4 ms less for each that starts.
    splitting: true,
    sourcemap: "inline",
    define: {
      CONDUCTOR_VERSION: JSON.stringify(packageJson.version),
      CONDUCTOR_COMMIT: JSON.stringify(commit()),
    },
    compile: {
      ...(known ? { target: known.bun } : {}),
      outfile: unfinished,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadPackageJson: true,
    },
  });
  if (!result.success) throw new AggregateError(result.logs, "the executable did not compile");
  const made = existsSync(unfinished) ? unfinished : `${unfinished}.exe`;
  renameSync(made, outfile);
  rmSync(workshop, { recursive: true, force: true });
  return outfile;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      assets: { type: "boolean", default: false },
      "if-changed": { type: "boolean", default: false },
    },
  });
  const begin = performance.now();
  await buildKernels({ ifChanged: values["if-changed"] });
  gatherBundledPlugins({ ifChanged: values["if-changed"] });
  const made = values.assets ? kernelPath : await buildExecutable(values.target, values["if-changed"]);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.error(`${made.slice(root.length + 1)} ready in ${seconds} s`);
}
