/** Every bench, one after the other, each in a process of its own: `bun run bench [NAME …]`. */
import { readdirSync } from "node:fs";

const asked = process.argv.slice(2);
const names = readdirSync(import.meta.dir)
  .filter((file) => file.endsWith(".ts") && !["all.ts", "c-loop.ts"].includes(file))
  .map((file) => file.slice(0, -3))
  .sort();

const unknown = asked.find((name) => !names.includes(name));
if (unknown) {
  console.error(`${unknown}: expected one of ${names.join(", ")}`);
  process.exit(2);
}
/** Simulates months of many hosts, which takes both cores for long, so only when it is named. */
const onlyNamed = ["year"];
const failed: string[] = [];
for (const name of asked.length > 0 ? asked : names.filter((each) => !onlyNamed.includes(each))) {
  console.log(`\n== ${name}`);
  const bench = Bun.spawn([process.execPath, `${import.meta.dir}/${name}.ts`], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await bench.exited) !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(", ")}`);
  process.exit(1);
}
