/** The server that test/bench/load.ts asks directly: what the plugin answers, over HTTP. Prints its port. */

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  async fetch(request) {
    const { payload } = (await request.json()) as { payload: unknown };
    return Response.json(payload);
  },
});
console.log(server.port);
