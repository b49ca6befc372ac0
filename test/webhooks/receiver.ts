/** A receiver of webhooks on a real socket, that answers as a test tells it. */

export interface Received {
  headers: Headers;
  body: string;
  event: { id: string; name: string; at: string; data: Record<string, unknown> };
}

export type Answer = (received: Received, number: number) => Response | Promise<Response>;

/** Listens on a free port; `answer` is given each request with its number, from 1. */
export function receiver(answer: Answer) {
  const received: Received[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    development: false,
    fetch: async (request) => {
      const body = await request.text();
      const each = { headers: request.headers, body, event: JSON.parse(body) as Received["event"] };
      received.push(each);
      return answer(each, received.length);
    },
  });
  return {
    received,
    url: `http://127.0.0.1:${server.port}/hooks/a-secret-path?key=a-secret-key`,
    origin: `http://127.0.0.1:${server.port}`,
    end: () => server.stop(true),
  };
}
