import * as z from "zod";
import { configSchema } from "../config/schema.ts";
import { manifestSchema } from "../plugins/manifest-schema.ts";
import { CliError, type Command, exitCode } from "./command.ts";

const schemas: Readonly<Record<string, z.ZodType>> = { conductor: configSchema, plugin: manifestSchema };

/** `conductor schema`: for editors that complete and check YAML. */
export const schemaCommand: Command = {
  name: "schema",
  summary: "Print the JSON Schema of conductor.yaml, or of a plugin's plugin.yaml",
  usage: "conductor schema [conductor | plugin]",
  options: {},
  positionals: 1,
  run: async ({ positionals, terminal }) => {
    const which = positionals[0] ?? "conductor";
    const schema = Object.hasOwn(schemas, which) ? schemas[which] : undefined;
    if (!schema)
      throw new CliError(`${which}: expected one of ${Object.keys(schemas).join(", ")}`, exitCode.usage);
    terminal.out(JSON.stringify(z.toJSONSchema(schema, { io: "input" }), null, 2));
    return exitCode.ok;
  },
};
