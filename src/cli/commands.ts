/** Every command of the command line, in the order of the help. */

import { auditCommand } from "./audit.ts";
import { benchCommand } from "./bench.ts";
import { breakersCommand } from "./breakers.ts";
import { checkCommand } from "./check.ts";
import type { Command } from "./command.ts";
import { compareCommand } from "./compare.ts";
import { deadLettersCommand } from "./dead-letters.ts";
import { doctorCommand } from "./doctor.ts";
import { drillCommand } from "./drill.ts";
import { evaluateCommand } from "./evaluate.ts";
import { eventsCommand } from "./events.ts";
import { forecastCommand } from "./forecast.ts";
import { initCommand } from "./init.ts";
import { modelsCommand } from "./models.ts";
import { pluginsCommand } from "./plugins.ts";
import { preflightCommand } from "./preflight.ts";
import { replayCommand } from "./replay.ts";
import { routesCommand } from "./routes.ts";
import { schemaCommand } from "./schema.ts";
import { serveCommand } from "./serve.ts";
import { shadowCommand } from "./shadow.ts";
import { statusCommand } from "./status.ts";
import { whyCommand } from "./why.ts";

export const commands: readonly Command[] = [
  serveCommand,
  initCommand,
  checkCommand,
  statusCommand,
  pluginsCommand,
  modelsCommand,
  eventsCommand,
  breakersCommand,
  whyCommand,
  evaluateCommand,
  shadowCommand,
  auditCommand,
  deadLettersCommand,
  forecastCommand,
  preflightCommand,
  replayCommand,
  compareCommand,
  routesCommand,
  benchCommand,
  drillCommand,
  doctorCommand,
  schemaCommand,
];
