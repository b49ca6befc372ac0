import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isLoopback } from "../../src/http/guard.ts";
import { carriesToken } from "../../src/http/token.ts";
import { exchange } from "./raw-socket.ts";
import { problemOf, type Served, served, token } from "./served.ts";

let subject: Served;

beforeAll(async () => {
  subject = await served({ allowedHosts: ["Conductor.example", "proxy.example:443"] });
});
afterAll(() => subject.end());

/** The status of a GET with these header lines. */
const statusWith = async (path: string, ...headers: string[]): Promise<number> => {
  const lines = [`GET ${path} HTTP/1.1`, ...headers, "Connection: close", "", ""];
  return (await exchange(subject.port, lines.join("\r\n"))).status;
};

describe("the Host header", () => {
  test("must be one of the server's own names, with its port", async () => {
    const { port } = subject;
    const table: [string, number][] = [
      [`127.0.0.1:${port}`, 200],
      [`localhost:${port}`, 200],
      [`LOCALHOST:${port}`, 200],
      [`[::1]:${port}`, 200],
      ["conductor.example", 200],
      ["conductor.example:1", 200],
      ["CONDUCTOR.EXAMPLE", 200],
      ["proxy.example:443", 200],
      ["proxy.example", 421],
      ["proxy.example:444", 421],
      ["127.0.0.1", 421],
      [`127.0.0.1:${port + 1}`, 421],
      [`127.0.0.1:${port}0`, 421],
      [`127.0.0.2:${port}`, 421],
      [`evil.example:${port}`, 421],
      ["evil.example", 421],
      [`127.0.0.1.evil.example:${port}`, 421],
      [`user@127.0.0.1:${port}`, 421],
      [`127.0.0.1:${port}@evil.example`, 421],
      [`127.0.0.1:${port}, evil.example`, 421],
      [`127.0.0.1:${port}:${port}`, 421],
      [`localhost.:${port}`, 421],
    ];
    for (const [host, status] of table)
      expect([host, await statusWith("/healthz", `Host: ${host}`)]).toEqual([host, status]);
  });

  test("may not come twice, nor be missing, nor be no host at all", async () => {
    const own = `Host: 127.0.0.1:${subject.port}`;
    expect(await statusWith("/healthz", own, "Host: evil.example")).toBeGreaterThanOrEqual(400);
    expect(await statusWith("/healthz", "Host: evil.example", own)).toBeGreaterThanOrEqual(400);
    expect(await statusWith("/healthz", own, own)).toBeGreaterThanOrEqual(400);
    expect(await statusWith("/healthz")).toBeGreaterThanOrEqual(400);
    expect(await statusWith("/healthz", "Host: a b c")).toBeGreaterThanOrEqual(400);
    const old = await exchange(subject.port, "GET /healthz HTTP/1.0\r\n\r\n");
    expect(old.status).toBe(421);
  });

  test("decides, not the address in the request line", async () => {
    expect(await statusWith("http://127.0.0.1/healthz", "Host: evil.example")).toBe(421);
  });

  test("is explained when it is refused", async () => {
    const response = await subject.get("/healthz", { Host: "evil.example" });
    expect(await problemOf(response)).toMatchObject({ status: 421, code: "host_unknown" });
  });
});

describe("the Origin header", () => {
  test("must be the server itself", async () => {
    const own = `127.0.0.1:${subject.port}`;
    const table: [string, number][] = [
      [`http://${own}`, 200],
      [`https://${own}`, 200],
      [`http://localhost:${subject.port}`, 403],
      ["http://evil.example", 403],
      [`http://${own}.evil.example`, 403],
      [`http://http://${own}`, 403],
      [own, 403],
      ["null", 403],
      ["", 403],
    ];
    for (const [origin, status] of table) {
      const answered = await statusWith("/healthz", `Host: ${own}`, `Origin: ${origin}`);
      expect([origin, answered]).toEqual([origin, status]);
    }
  });

  test("keeps a page from sending a request, and from asking whether it may", async () => {
    const origin = { Origin: "http://evil.example" };
    const body = { platform: "voice", payload: 1 };
    expect(await problemOf(await subject.post("/api/v1/requests", body, origin))).toMatchObject({
      code: "origin_refused",
    });
    const preflight = await fetch(subject.url("/api/v1/requests"), { method: "OPTIONS", headers: origin });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    expect(subject.dispatcher.calls).toEqual([]);
  });
});

const administration = [
  "/api/v1/plugins/voice/enable",
  "/api/v1/plugins/voice/disable",
  "/api/v1/plugins/voice/restart",
  "/api/v1/plugins/nobody/restart",
  "/api/v1/scaling/evaluate",
  "/api/v1/breakers/voice/isolate",
  "/api/v1/breakers/nobody/close",
];

describe("the token", () => {
  test("is needed by whatever administers", async () => {
    const wrong = [{}, { Authorization: "" }, { Authorization: token }, { Authorization: `Basic ${token}` }];
    const wrongTokens = [`${token}x`, token.slice(1), token.toUpperCase(), `${token} ${token}`, "é"];
    const headers = [...wrong, ...wrongTokens.map((each) => ({ Authorization: `Bearer ${each}` }))];
    for (const path of administration)
      for (const header of headers) {
        const response = await subject.post(path, {}, header as Record<string, string>);
        expect([path, response.status, response.headers.get("www-authenticate")]).toEqual([
          path,
          401,
          "Bearer",
        ]);
        expect(await problemOf(response)).toMatchObject({ code: "token_required" });
      }
    expect(subject.manager.standings().map(({ state }) => state)).not.toContain("disabled");
  });

  test("opens administration, and what is wrong then is told", async () => {
    const unknown = await subject.post("/api/v1/plugins/nobody/restart", {}, subject.administrator);
    expect(await problemOf(unknown)).toMatchObject({ status: 404, code: "unknown_plugin" });
    const invalid = await subject.post("/api/v1/plugins/broken/enable", {}, subject.administrator);
    expect(await problemOf(invalid)).toMatchObject({ status: 409, code: "invalid" });
    const disabled = await subject.post("/api/v1/plugins/voice/disable", {}, subject.administrator);
    expect([disabled.status, ((await disabled.json()) as { state: string }).state]).toEqual([
      200,
      "disabled",
    ]);
    const again = await subject.post("/api/v1/plugins/voice/restart", {}, subject.administrator);
    expect(await problemOf(again)).toMatchObject({ status: 409, code: "disabled" });
  });

  test("is not needed on loopback to read and to send requests", async () => {
    for (const path of ["plugins", "health", "breakers", "forecast", "scaling/status", "scaling/decisions"])
      expect([path, (await subject.get(`/api/v1/${path}`)).status]).toEqual([path, 200]);
  });

  test("is compared without telling where it differs", () => {
    expect(carriesToken(`Bearer ${token}`, token)).toBe(true);
    expect(carriesToken(`bearer ${token}`, token)).toBe(true);
    for (const header of [undefined, "", "Bearer", "Bearer ", `Bearer  ${token}`, `Bearer ${token}\n`])
      expect([header, carriesToken(header, token)]).toEqual([header, false]);
  });
});

describe("off loopback", () => {
  let open: Served;
  beforeAll(async () => {
    open = await served({ host: "0.0.0.0" });
  });
  afterAll(() => open.end());

  test("everything but /healthz needs the token, also what is not there", async () => {
    expect((await open.get("/healthz")).status).toBe(200);
    const reading = [
      "/readyz",
      "/metrics",
      "/api/v1/plugins",
      "/api/v1/forecast",
      "/api/v1/health",
      "/nothing",
    ];
    for (const path of reading) {
      expect([path, (await problemOf(await open.get(path))).code]).toEqual([path, "token_required"]);
      const allowed = await open.get(path, open.administrator);
      expect([path, allowed.status]).toEqual([path, path === "/nothing" ? 404 : 200]);
    }
    const request = { platform: "voice", payload: 1 };
    expect((await open.post("/api/v1/requests", request)).status).toBe(401);
    expect((await open.post("/healthz", {})).status).toBe(401);
    expect(open.dispatcher.calls).toEqual([]);
  });

  test("any address is the server's own where it listens on all, but no other name", async () => {
    const { port } = open;
    const table: [string, number][] = [
      [`192.0.2.7:${port}`, 200],
      [`[2001:db8::1]:${port}`, 200],
      [`192.0.2.7:${port + 1}`, 421],
      [`192.0.2.7.evil.example:${port}`, 421],
      [`evil.example:${port}`, 421],
    ];
    for (const [host, status] of table)
      expect([host, (await open.get("/healthz", { Host: host })).status]).toEqual([host, status]);
  });

  test("is every address that others can reach", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
      expect([host, isLoopback(host)]).toEqual([host, true]);
    for (const host of [
      "0.0.0.0",
      "::",
      "10.0.0.1",
      "127.0.0.1.example",
      "1270.0.0.1",
      "localhost.example",
      "",
    ])
      expect([host, isLoopback(host)]).toEqual([host, false]);
  });
});
