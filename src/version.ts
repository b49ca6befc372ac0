/** Which build this is: stamped in by build.ts, "source" when run without a build. */
export const version = typeof CONDUCTOR_VERSION === "undefined" ? "0.0.0" : CONDUCTOR_VERSION;
export const commit = typeof CONDUCTOR_COMMIT === "undefined" ? "source" : CONDUCTOR_COMMIT;
