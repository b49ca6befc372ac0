/** `conductor routes`: the routing rules, and which of them a request matches and why. */

import { describeCondition } from "../routing/rule-trace.ts";
import {
  CliError,
  type Command,
  configOption,
  exitCode,
  type Invocation,
  outputOption,
  wantsJson,
} from "./command.ts";
import { configuration } from "./configuration.ts";
import { formatBalance, readRequests, routesOf, routeText } from "./routed-requests.ts";
import { table } from "./table.ts";

const usage = [
  "conductor routes [--config FILE] [-o json]",
  "conductor routes test FILE [--config FILE] [-o json]",
];

/** Reads the configuration only: nothing need run. */
export const routesCommand: Command = {
  name: "routes",
  summary: "List the routing rules; say which one a request matches and why",
  usage: usage.join("\n"),
  notes: [
    'FILE holds a request, {"platform": …, "type": …, "headers": {…}, "payload": …}, or a list of',
    "them, as JSON; - reads it from stdin. Without a rule that matches, a request goes to the plugin",
    "of its platform.",
  ],
  options: { ...configOption, ...outputOption },
  positionals: 2,
  run: async (invocation) => {
    const [action, file] = invocation.positionals;
    if (action === undefined) return list(invocation);
    if (action !== "test") throw new CliError(`${action}: expected test`, exitCode.usage);
    if (file === undefined)
      throw new CliError(`test: expected a file of requests; usage: ${usage[1]}`, exitCode.usage);
    return test(invocation, file);
  },
};

function list(invocation: Invocation): number {
  const json = wantsJson(invocation);
  const { rules } = configuration(invocation).config.routing;
  const { out } = invocation.terminal;
  const listed = rules.map(({ name, when, to, fallback, idempotent, balance }) => ({
    name,
    when: describeCondition(when),
    to,
    fallback,
    idempotent,
    balance: formatBalance(balance),
  }));
  if (json) out(JSON.stringify({ rules: listed }, null, 2));
  else if (listed.length === 0) out("no rules: each request goes to the plugin of its platform");
  else
    out(
      table([
        ["RULE", "TO", "FALLBACK", "BALANCE", "IDEMPOTENT", "WHEN"],
        ...listed.map((rule) => [
          rule.name,
          rule.to,
          rule.fallback === null ? "default" : rule.fallback.join(", ") || "none",
          rule.balance,
          rule.idempotent ? "yes" : "no",
          rule.when,
        ]),
      ]),
    );
  return exitCode.ok;
}

async function test(invocation: Invocation, file: string): Promise<number> {
  const json = wantsJson(invocation);
  const { rules } = configuration(invocation).config.routing;
  const routes = routesOf(rules, await readRequests(file, invocation.folder));
  const { out } = invocation.terminal;
  out(json ? JSON.stringify({ requests: routes }, null, 2) : routes.map(routeText).join("\n\n"));
  return exitCode.ok;
}
