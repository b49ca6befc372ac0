/** The configuration as a command sees it. */

import { loadConfig } from "../config/load.ts";
import { type Invocation, textFlag } from "./command.ts";

/** The configuration with the command's own flags over file and environment. */
export function configuration(invocation: Invocation) {
  const { environment, folder } = invocation;
  const port = textFlag(invocation, "port");
  const host = textFlag(invocation, "host");
  return loadConfig({
    file: textFlag(invocation, "config") ?? environment.CONDUCTOR_CONFIG ?? null,
    folder,
    environment: {
      ...environment,
      ...(port === undefined ? {} : { CONDUCTOR_HTTP_PORT: port }),
      ...(host === undefined ? {} : { CONDUCTOR_HTTP_HOST: host }),
    },
    flags: {
      ...(port === undefined ? {} : { CONDUCTOR_HTTP_PORT: "--port" }),
      ...(host === undefined ? {} : { CONDUCTOR_HTTP_HOST: "--host" }),
    },
  });
}
