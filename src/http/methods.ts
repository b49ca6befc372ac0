/** Which methods a path takes, for the answer to a wrong one. */

import type { Hono } from "hono";

interface Served {
  method: string;
  path: RegExp;
}

/** Answers the methods that `path` takes, as the header Allow writes them; null when nothing is there. */
export function allowedMethods(app: Hono): (path: string) => string | null {
  const served: Served[] = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => ({ method, path: new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`) }));
  return (path) => {
    const methods = new Set<string>();
    for (const each of served) {
      if (!each.path.test(path)) continue;
      methods.add(each.method);
      if (each.method === "GET") methods.add("HEAD");
    }
    return methods.size === 0 ? null : [...methods].join(", ");
  };
}
