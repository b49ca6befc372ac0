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

/** The settings in `environment` that switch compilers, as `NAME=VALUE`. */
export function compilerSettings(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(environment)
    .filter(([name]) => /^(BUN_)?JSC_use\w*JIT$/.test(name))
    .map(([name, value]) => `${name}=${value}`);
}
