/** Requests to this plugin as they come, parsed once. */

import type { Json } from "conductor/plugin";
import { ModelError } from "./model-error.ts";

export interface LoadOrder {
  file: string;
  contextTokens: number;
  threads: number | null;
  gpuLayers: number | "auto";
}

export interface GenerateOrder {
  input: { messages: { role: "system" | "user" | "assistant"; content: string }[] } | { prompt: string };
  maxTokens: number;
  temperature?: number;
  topP?: number;
  seed?: number;
  stop: string[];
}

const refuse = (key: string, value: Json | undefined, expected: string) =>
  new ModelError(
    "bad-request",
    `${key}: ${(JSON.stringify(value) ?? "nothing").slice(0, 80)}: expected ${expected}`,
    "correct the request",
  );

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function recordOf(payload: Json): Record<string, Json> {
  if (isRecord(payload)) return payload;
  throw refuse("payload", payload, "an object");
}

function text(value: Json | undefined, key: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw refuse(key, value, "a text");
}

function number(value: Json | undefined, key: string, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw refuse(key, value, `a number from ${min} to ${max}`);
}

function whole(value: Json | undefined, key: string, min: number, max: number): number {
  if (Number.isInteger(value)) return number(value, key, min, max);
  throw refuse(key, value, `a whole number from ${min} to ${max}`);
}

/** Payload of "load". Throws ModelError. */
export function loadOrder(payload: Json): LoadOrder {
  const { file, contextTokens, threads, gpuLayers } = recordOf(payload);
  return {
    file: text(file, "file"),
    contextTokens: whole(contextTokens, "contextTokens", 8, 1_048_576),
    threads: threads === null || threads === undefined ? null : whole(threads, "threads", 1, 1_024),
    gpuLayers: gpuLayers === "auto" ? "auto" : whole(gpuLayers ?? 0, "gpuLayers", 0, 10_000),
  };
}

function messageOf(value: Json): { role: "system" | "user" | "assistant"; content: string } {
  const { role, content } = recordOf(value);
  if (role !== "system" && role !== "user" && role !== "assistant")
    throw refuse("role", role, "system, user or assistant");
  if (typeof content !== "string") throw refuse("content", content, "a text");
  return { role, content };
}

function stopsOf(value: Json | undefined): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > 16) throw refuse("stop", value, "at most 16 texts");
  return value.map((each) => text(each, "stop"));
}

/** Payload of "generate". Throws ModelError. */
export function generateOrder(payload: Json): GenerateOrder {
  const { messages, prompt, maxTokens, temperature, topP, seed, stop } = recordOf(payload);
  if (messages !== undefined && (!Array.isArray(messages) || messages.length === 0))
    throw refuse("messages", messages, "a list of messages");
  return {
    input: Array.isArray(messages)
      ? { messages: messages.map(messageOf) }
      : { prompt: text(prompt, "prompt") },
    maxTokens: whole(maxTokens, "maxTokens", 1, 1_000_000),
    ...(temperature === undefined ? {} : { temperature: number(temperature, "temperature", 0, 2) }),
    ...(topP === undefined ? {} : { topP: number(topP, "topP", 0, 1) }),
    ...(seed === undefined ? {} : { seed: whole(seed, "seed", 0, 2 ** 32 - 1) }),
    stop: stopsOf(stop),
  };
}
