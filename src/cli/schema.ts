import * as z from "zod";
import { configSchema } from "../config/schema.ts";
import { type Command, exitCode } from "./command.ts";

/** `conductor schema`: for editors that complete and check YAML. */
export const schemaCommand: Command = {
  name: "schema",
  summary: "Print the JSON Schema of conductor.yaml",
  usage: "conductor schema",
  options: {},
  positionals: 0,
  run: async ({ terminal }) => {
    terminal.out(JSON.stringify(z.toJSONSchema(configSchema, { io: "input" }), null, 2));
    return exitCode.ok;
  },
};
