/** The built-in commands, and the interactions of Discord that call them. */

import type { Json } from "conductor/plugin";

/** Discord refuses a message with more characters. */
const maxContentChars = 2_000;
const ephemeral = 64;

export interface Standing {
  uptimeSeconds: number;
  /** Interactions and plain commands answered. */
  answered: number;
  /** Interactions refused for their signature or shape. */
  refused: number;
}

export interface CommandReply {
  reply: string;
  known: boolean;
}

/** An answer to one interaction: an HTTP status and the JSON body. */
export interface InteractionAnswer {
  status: number;
  body: Json;
}

const commands: Record<string, { about: string; run: (text: string, standing: Standing) => string }> = {
  ping: { about: "answers pong", run: () => "pong" },
  status: {
    about: "how long this bot has been up",
    run: (_, { uptimeSeconds, answered, refused }) =>
      `up ${Math.round(uptimeSeconds)} s, ${answered} answered, ${refused} refused`,
  },
  help: {
    about: "lists the commands",
    run: () =>
      Object.entries(commands)
        .map(([name, { about }]) => `/${name}: ${about}`)
        .join("\n"),
  },
  echo: { about: "says the text again", run: (text) => text || "nothing to echo: give a text" },
};

const cut = (text: string, chars: number): string =>
  text.length > chars ? `${text.slice(0, chars - 1)}…` : text;

/** Runs a command by its name, which may start with "!" or "/". */
export function runCommand(name: string, text: string, standing: Standing): CommandReply {
  const bare = name.replace(/^[!/]/, "").toLowerCase();
  const command = Object.hasOwn(commands, bare) ? commands[bare] : undefined;
  if (command) return { reply: cut(command.run(text, standing), maxContentChars), known: true };
  const names = Object.keys(commands).join(", ");
  return { reply: `unknown command "${cut(bare, 40)}"; known are ${names}`, known: false };
}

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The values of a slash command's options, in order, as one text. */
function optionText(options: Json | undefined): string {
  if (!Array.isArray(options)) return "";
  return options
    .flatMap((option) => (isRecord(option) && option.value !== undefined ? [String(option.value)] : []))
    .join(" ");
}

/** Answers an interaction whose signature was verified; 400 when it is none that this plugin understands. */
export function answerInteraction(body: string, standing: Standing): InteractionAnswer {
  const bad = (error: string): InteractionAnswer => ({ status: 400, body: { error } });
  let interaction: Json;
  try {
    interaction = JSON.parse(body);
  } catch (error) {
    return bad(`the body is not JSON: ${error instanceof Error ? error.message : "unreadable"}`);
  }
  if (!isRecord(interaction)) return bad("the body must be a JSON object");
  if (interaction.type === 1) return { status: 200, body: { type: 1 } };
  if (interaction.type !== 2) {
    const type = cut(JSON.stringify(interaction.type ?? null), 40);
    return bad(`interaction type ${type}: expected 1 (ping) or 2 (application command)`);
  }
  const data = interaction.data;
  if (!isRecord(data) || typeof data.name !== "string" || data.name === "")
    return bad("data.name must be the command's name");
  const { reply, known } = runCommand(data.name, optionText(data.options), standing);
  // No mention in an echoed text may notify anybody; a mistake is shown to its author only.
  const content = { content: reply, allowed_mentions: { parse: [] } };
  return { status: 200, body: { type: 4, data: known ? content : { ...content, flags: ephemeral } } };
}
