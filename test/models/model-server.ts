/**
 * A small model server that follows the public APIs of OpenAI and ollama, with words instead of a model. A test may answer a
 * request in its own way first; the words come as fast as they are taken.
 */

export interface ServedCall {
  path: string;
  headers: Headers;
  body: Record<string, unknown>;
}

export interface ModelServerOptions {
  port?: number;
  models?: readonly string[];
  /** So many looks at /health, /v1/models and /api/show are answered with 503 before it is ready. */
  busyLooks?: number;
  /** Bytes that ollama tells for a model in memory, and of these on a graphics card. */
  sizeBytes?: number;
  vramBytes?: number;
  /** After the order to unload, so many looks at /api/ps still list the model. */
  lingeringLooks?: number;
  /** Called when words begin to flow. */
  onGenerate?: () => void;
}

type Answer = (call: ServedCall) => Response | Promise<Response> | null;

/** Deterministic words: the same seed and place give the same word. */
export const wordAt = (seed: number, index: number): string =>
  `w${((seed + 1) * 7919 + index * 104_729) % 1_000}`;

interface Wanted {
  maxTokens: number;
  stop: string[];
  seed: number;
}

/** Words up to a stop text or the last token; what the stop text begins in is cut there. */
export function* wordsFor({ maxTokens, stop, seed }: Wanted): Generator<string, "stop" | "length"> {
  let all = "";
  for (let index = 0; index < maxTokens; index++) {
    const word = `${index === 0 ? "" : " "}${wordAt(seed, index)}`;
    const cut = stop
      .map((text) => (all + word).indexOf(text))
      .filter((at) => at >= 0)
      .sort((one, other) => one - other)[0];
    if (cut !== undefined) {
      if (cut > all.length) yield word.slice(0, cut - all.length);
      return "stop";
    }
    all += word;
    yield word;
  }
  return "length";
}

export class ModelServer {
  readonly calls: ServedCall[] = [];
  /** Answers in the place of the server where it is not null. */
  instead: Answer = () => null;
  /** Streams that are open. */
  generating = 0;
  readonly #options: ModelServerOptions;
  readonly #server: Bun.Server<undefined>;
  #busyLooks: number;
  #held: string | null = null;
  #lingering = 0;

  constructor(options: ModelServerOptions = {}) {
    this.#options = options;
    this.#busyLooks = options.busyLooks ?? 0;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** The model that ollama holds. */
  get held(): string | null {
    return this.#held;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  get #models(): readonly string[] {
    return this.#options.models ?? ["words"];
  }

  async #answer(request: Request): Promise<Response> {
    const text = await request.text();
    const { pathname: path } = new URL(request.url);
    const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    const call = { path, headers: request.headers, body };
    this.calls.push(call);
    const own = this.instead(call);
    if (own !== null) return own;
    if (["/health", "/v1/models", "/api/show"].includes(path) && this.#busyLooks-- > 0)
      return Response.json({ error: { message: "Loading model" } }, { status: 503 });
    if (path === "/health") return Response.json({ status: "ok" });
    return path.startsWith("/v1/") ? this.#openai(path, body) : this.#ollama(path, body);
  }

  #openai(path: string, body: Record<string, unknown>): Response {
    if (path === "/v1/models")
      return Response.json({
        object: "list",
        data: this.#models.map((id) => ({ id, max_model_len: 4_096 })),
      });
    if (!this.#models.includes(String(body.model)))
      return Response.json(
        { error: { message: `no model ${body.model}`, type: "not_found" } },
        { status: 404 },
      );
    const chat = path === "/v1/chat/completions";
    const choice = (text: string | null, finish_reason: string | null) => ({
      index: 0,
      ...(chat ? { delta: text === null ? {} : { content: text } } : { text: text ?? "" }),
      finish_reason,
    });
    const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
    const wanted: Wanted = {
      maxTokens: Number(body.max_tokens ?? body.max_completion_tokens),
      stop: (body.stop as string[] | undefined) ?? [],
      seed: Number(body.seed ?? 0),
    };
    const stream = this.#stream(
      wanted,
      (word) => event({ choices: [choice(word, null)] }),
      (reason, tokens) =>
        event({ choices: [choice(null, reason)] }) +
        event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: tokens } }) +
        "data: [DONE]\n\n",
    );
    return new Response(stream, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
  }

  #ollama(path: string, body: Record<string, unknown>): Response {
    if (path === "/api/ps") return this.#running();
    const model = String(body.model);
    if (!this.#models.includes(model))
      return Response.json({ error: `model '${model}' not found` }, { status: 404 });
    if (path === "/api/show")
      return Response.json({
        model_info: { "general.architecture": "llama", "llama.context_length": 4_096 },
      });
    const { messages, prompt, keep_alive: keepAlive } = body;
    if (messages === undefined && prompt === undefined) {
      if (keepAlive === 0) this.#lingering = this.#options.lingeringLooks ?? 0;
      else this.#held = model;
      if (keepAlive === 0 && this.#lingering === 0) this.#held = null;
      return Response.json({
        model,
        response: "",
        done: true,
        done_reason: keepAlive === 0 ? "unload" : "load",
      });
    }
    const options = (body.options ?? {}) as Record<string, unknown>;
    const line = (value: unknown) => `${JSON.stringify(value)}\n`;
    const text = (word: string) =>
      messages === undefined ? { response: word } : { message: { role: "assistant", content: word } };
    const stream = this.#stream(
      {
        maxTokens: Number(options.num_predict),
        stop: (options.stop as string[] | undefined) ?? [],
        seed: Number(options.seed ?? 0),
      },
      (word) => line({ model, ...text(word), done: false }),
      (reason, tokens) =>
        line({
          model,
          ...text(""),
          done: true,
          done_reason: reason,
          prompt_eval_count: 7,
          eval_count: tokens,
        }),
    );
    return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
  }

  #running(): Response {
    const { sizeBytes: size = 1_000_000, vramBytes: size_vram = 0 } = this.#options;
    const models =
      this.#held === null
        ? []
        : [{ name: `${this.#held}:latest`, model: `${this.#held}:latest`, size, size_vram }];
    if (this.#lingering > 0 && --this.#lingering === 0) this.#held = null;
    return Response.json({ models });
  }

  #stream(
    wanted: Wanted,
    part: (word: string) => string,
    end: (reason: "stop" | "length", tokens: number) => string,
  ): ReadableStream<string> {
    const words = wordsFor(wanted);
    let tokens = 0;
    let open = true;
    this.generating++;
    this.#options.onGenerate?.();
    const close = () => {
      if (open) this.generating--;
      open = false;
    };
    return new ReadableStream<string>({
      pull: async (controller) => {
        // Others have their turn: words without end would leave them none.
        await new Promise<void>((resolve) => setImmediate(resolve));
        const step = words.next();
        if (!open) return;
        if (step.done) {
          controller.enqueue(end(step.value, tokens));
          controller.close();
          close();
        } else {
          tokens++;
          controller.enqueue(part(step.value));
        }
      },
      cancel: close,
    });
  }
}
