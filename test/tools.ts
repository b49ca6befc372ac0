/**
 * Installs what the tests use beside Bun: promtool, espeak-ng, python3, bwrap, … With apt-get as root; elsewhere it says what
 * to install, and the tests that need it fail with the same words.
 */

const tools: Record<string, string> = {
  promtool: "prometheus",
  "espeak-ng": "espeak-ng",
  python3: "python3",
  bwrap: "bubblewrap",
  setpriv: "util-linux",
  strace: "strace",
  busybox: "busybox",
  wrk: "wrk",
};

const missing = [
  ...new Set(
    Object.keys(tools)
      .filter((tool) => !Bun.which(tool))
      .map((tool) => tools[tool] ?? tool),
  ),
];

if (missing.length > 0) {
  const command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing];
  if (!Bun.which("apt-get") || process.getuid?.() !== 0) {
    console.error(`some tests will fail for want of tools; install: ${missing.join(" ")}`);
  } else {
    console.error(`installing ${missing.join(" ")}`);
    for (const step of [["apt-get", "update", "-qq"], command]) {
      const done = Bun.spawnSync(step, { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
      if (!done.success)
        console.error(`${step.join(" ")}: exit ${done.exitCode}: ${done.stderr.toString().slice(-500)}`);
    }
  }
}
