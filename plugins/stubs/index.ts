/**
 * stubs: answers any platform with a short text that names what is unavailable.
 * It is what remains when everything else was shed, so it holds no resource, and a wrong setting makes it
 * degraded (with the default text) instead of failing its start.
 */

import { definePlugin, type Json, type PluginDefinition, type PluginRequest } from "conductor/plugin";

const defaultReply = "{platform} is unavailable right now: {reason}. Please try again later.";
const defaultReason = "it is not running";
const ownReply = "stubs is standing by: it answers for platforms that are down";

/** Bounds: platforms with a text of their own, characters of a text, and of a reason in it. */
const maxReplies = 100;
const maxReplyChars = 500;
const maxReasonChars = 200;

interface Settings {
  reply: string;
  replies: Map<string, string>;
  retryAfterSeconds: number;
}

const isText = (value: Json | undefined): value is string =>
  typeof value === "string" && value.trim() !== "" && value.length <= maxReplyChars;

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The value as a person wrote it, cut: it stands in an error message. */
const shown = (value: Json | undefined): string => {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

/** What can be used of the configuration, and a line about each thing that cannot. */
function readSettings(config: Record<string, Json>, name: string) {
  const settings: Settings = { reply: defaultReply, replies: new Map(), retryAfterSeconds: 30 };
  const problems: string[] = [];
  const refuse = (key: string, value: Json | undefined, expected: string) =>
    problems.push(`plugins.config.${name}.${key}: ${shown(value)}: expected ${expected}`);
  const text = `a text of 1 to ${maxReplyChars} characters`;

  for (const [key, value] of Object.entries(config)) {
    if (key === "reply") {
      if (isText(value)) settings.reply = value;
      else refuse(key, value, text);
    } else if (key === "retryAfterSeconds") {
      if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 86_400)
        settings.retryAfterSeconds = Number(value);
      else refuse(key, value, "a whole number from 1 to 86400");
    } else if (key === "replies" && isRecord(value)) {
      for (const [platform, reply] of Object.entries(value)) {
        if (settings.replies.size === maxReplies) {
          refuse(key, Object.keys(value).length, `at most ${maxReplies} platforms`);
          break;
        }
        if (isText(reply)) settings.replies.set(platform, reply);
        else refuse(`${key}.${platform}`, reply, text);
      }
    } else if (key === "replies") refuse(key, value, "a text for each platform");
    else refuse(key, value, "no such key; known are reply, replies, retryAfterSeconds");
  }
  return { settings, problems };
}

/** The answer for one request; never throws. */
function answer(request: PluginRequest, settings: Settings, name: string): Json {
  const standsIn = request.fallback !== undefined || request.platform !== name;
  if (!standsIn) return { reply: ownReply, unavailable: null, platform: request.platform };
  const unavailable = request.fallback?.unavailable ?? request.platform;
  const reason = (request.fallback?.reason || defaultReason).slice(0, maxReasonChars);
  const template = settings.replies.get(unavailable) ?? settings.reply;
  return {
    // Functions as replacements: in a text, "$&" would be a pattern.
    reply: template.replaceAll("{platform}", () => unavailable).replaceAll("{reason}", () => reason),
    unavailable,
    platform: request.platform,
    reason,
    retry: `try again in ${settings.retryAfterSeconds} s`,
    retryAfterSeconds: settings.retryAfterSeconds,
  };
}

/** A fresh instance; the default export is the one that the conductor runs. */
export function createStubs(): PluginDefinition {
  let name = "stubs";
  let { settings, problems } = readSettings({}, name);
  return {
    initialize(config, context) {
      name = context.name;
      ({ settings, problems } = readSettings(config, name));
      for (const problem of problems) context.log("setting ignored", { problem });
    },
    healthCheck: () =>
      problems.length === 0
        ? { status: "healthy" }
        : { status: "degraded", detail: `settings ignored: ${problems.slice(0, 3).join("; ")}` },
    handleRequest: (request) => answer(request, settings, name),
  };
}

export default definePlugin(createStubs());
