/** A loopback port for a server that is about to start. */

import { createServer } from "node:net";

/**
 * A port of 127.0.0.1 that nobody held a moment ago. Somebody may take it before the server does, which then says so and
 * ends. Throws what the system says.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen({ host: "127.0.0.1", port: 0, exclusive: true }, () => {
      const address = holder.address();
      holder.close(() =>
        typeof address === "object" && address !== null
          ? resolve(address.port)
          : reject(new Error("the system gave no port")),
      );
    });
  });
}
