/** `/v1`: the local models for every client of OpenAI's public API. */

import { type Context, Hono } from "hono";
import * as z from "zod";
import { anyModel } from "../../config/models-schema.ts";
import { type BodyShape, checkedBody } from "../body.ts";
import { problem } from "../problem.ts";
import { pacedRefusals } from "../refusal-pace.ts";
import type { Services } from "../services.ts";
import { answerAsk } from "./answer.ts";
import { conversationHeader, conversationIdExpected, isConversationId } from "./kept-turn.ts";
import { type OpenaiAsk, readAsk } from "./request-shape.ts";

const anyObject: BodyShape<Record<string, unknown>> = {
  schema: z.record(z.string(), z.unknown()),
  name: "a request to a model",
  expected: "{model, messages, …} or {model, prompt, …}",
};

type NamedServices = Pick<Services, "clock" | "log" | "models" | "startedAtMs">;

/** The list, one of it, chat and completions. */
export function openaiRoutes(services: NamedServices): Hono {
  const { clock } = services;
  const app = new Hono();
  app.get("/models", (context) => context.json({ object: "list", data: listed(services) }));
  app.get("/models/:id", (context) => {
    const id = context.req.param("id");
    const found = listed(services).find((each) => each.id === id);
    return found ? context.json(found) : noSuchModel(services, context, id);
  });
  const paced = pacedRefusals(clock);
  app.post("/chat/completions", paced, (context) => answer(services, context, "chat"));
  app.post("/completions", paced, (context) => answer(services, context, "completion"));
  return app;
}

/** The best first, after the name that leaves the choice to conductor. */
function listed({ models, startedAtMs }: NamedServices) {
  const facts = models?.manager.facts() ?? [];
  const longest = Math.max(...facts.map(({ contextTokens }) => contextTokens));
  const all = facts.map(({ name, contextTokens }) => ({ name, contextTokens }));
  const choice = all.length === 0 ? [] : [{ name: anyModel, contextTokens: longest }];
  return [...choice, ...all].map(({ name, contextTokens }) => ({
    id: name,
    object: "model",
    created: Math.floor(startedAtMs / 1_000),
    owned_by: "conductor",
    context_length: contextTokens,
  }));
}

function noSuchModel(services: NamedServices, context: Context, asked: string) {
  const known = listed(services).map(({ id }) => id);
  return problem(context, {
    status: 404,
    code: "model_not_found",
    title: "There is no such model",
    detail:
      known.length === 0
        ? "no models are configured (models: […] in the configuration)"
        : `none is called ${JSON.stringify(asked.slice(0, 100))}; known: ${known.join(", ")}`,
    more: { param: "model", known },
  });
}

async function answer(services: NamedServices, context: Context, kind: OpenaiAsk["kind"]) {
  const { clock, log, models } = services;
  const body = await checkedBody(context, clock, anyObject);
  if (!body.ok) return body.response;
  const read = readAsk(kind, body.value);
  if (!read.ok) return problem(context, read.problem);
  const { model } = read.ask;
  const known = models?.manager.facts() ?? [];
  if (!models || (model !== null && !known.some(({ name }) => name === model)))
    return noSuchModel(services, context, model ?? anyModel);
  const id = context.req.header(conversationHeader) ?? null;
  const wrong = id === null ? null : wrongId(id, kind);
  if (wrong !== null)
    return problem(context, {
      status: 400,
      code: "invalid_value",
      title: "The conversation is not named right",
      detail: `${conversationHeader}: ${wrong}`,
      more: { param: conversationHeader },
    });
  return answerAsk(context, { clock, log, serving: models }, read.ask, id);
}

function wrongId(id: string, kind: OpenaiAsk["kind"]): string | null {
  if (kind === "completion") return "expected nothing: a conversation goes on with chat/completions";
  return isConversationId(id) ? null : `expected ${conversationIdExpected}`;
}
