import { numberOfDFGCompiles } from "bun:jsc";

/** What the engine answers for any function when it compiles none. */
const compilesNothing = 1_000_000;

/**
 * Whether the runtime compiles hot JavaScript. `serve` switches that off to stay small; a measurement made without it
 * says little about anything else. WASM has compilers of its own, which the same switch reaches.
 */
export function compilersOn(): boolean {
  return numberOfDFGCompiles(compilersOn) !== compilesNothing;
}

/** That the compilers are off, and which settings in `environment` may have done it; null while they are on. */
export function compilerWarning(environment: Readonly<Record<string, string | undefined>>): string | null {
  if (compilersOn()) return null;
  const settings = Object.entries(environment)
    .filter(([name]) => /^(BUN_)?JSC_use\w*JIT$/.test(name))
    .map(([name, value]) => `${name}=${value}`);
  const remedy = settings.length > 0 ? `: run it without ${settings.join(" ")}` : "";
  return `conductor: warning: the runtime's compilers are off, so everything takes longer than it need${remedy}`;
}
