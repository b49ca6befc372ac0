/** Files that the build embeds; importing one `with { type: "file" }` yields a path that `Bun.file` opens. */
declare module "*.wasm" {
  const path: string;
  export default path;
}

declare module "*.plugins" {
  const path: string;
  export default path;
}

/** Stamped in by build.ts; absent when running from source. */
declare const CONDUCTOR_VERSION: string | undefined;
declare const CONDUCTOR_COMMIT: string | undefined;
