/** Writes a picture: SVG as it is, PNG through a program that is installed. */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type PlotData, plotSvg } from "../replay/plot.ts";
import { CliError, exitCode } from "./command.ts";

/** Throws wrong usage for a file that is neither .svg nor .png. */
export function pictureFormat(file: string): "svg" | "png" {
  const format = /\.(svg|png)$/i.exec(file)?.[1]?.toLowerCase();
  if (format === "svg" || format === "png") return format;
  throw new CliError(`--plot ${file}: expected a name that ends with .svg or .png`, exitCode.usage);
}

/** From SVG on stdin to PNG on stdout; the first that is there is used. */
const converters = [["rsvg-convert"], ["magick", "svg:-", "png:-"], ["convert", "svg:-", "png:-"]];
const timeoutMs = 60_000;

/** Throws a CliError when the file cannot be written, or no program makes a PNG. */
export async function writePicture(data: PlotData, file: string, folder: string): Promise<void> {
  const svg = plotSvg(data);
  const content = pictureFormat(file) === "svg" ? svg : await pngOf(svg, file);
  try {
    writeFileSync(resolve(folder, file), content);
  } catch (error) {
    throw new CliError(`--plot ${file}: cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}

async function pngOf(svg: string, file: string): Promise<Uint8Array> {
  const command = converters.find(([program = ""]) => Bun.which(program) !== null);
  if (!command)
    throw new CliError(
      `--plot ${file}: nothing here turns SVG into PNG: install librsvg2-bin (rsvg-convert) or imagemagick, or name a file that ends with .svg`,
    );
  const child = Bun.spawn(command, {
    stdin: new TextEncoder().encode(svg),
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
  });
  const [png, complaint, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0 && png.length > 0) return png;
  throw new CliError(
    `--plot ${file}: ${command[0]} failed (${complaint.trim().split("\n")[0] || `exit ${code}`})`,
  );
}
