/** A plugin that was granted nothing has no network, no secrets, nowhere to write; what is told as open is open. */

import { chmodSync, writeFileSync } from "node:fs";
import { cgroupOf } from "./kernel-files.ts";
import { check } from "./recorder.ts";
import type { Service } from "./service.ts";

const abstractName = "conductor-machine";
const connectAbstract = `import socket
try: socket.socket(socket.AF_UNIX).connect("\\0${abstractName}"); print("ok")
except ConnectionRefusedError: print("refused")`;

/** A socket without a file, which belongs to a network namespace. */
function abstractListener(): Disposable {
  const listener = Bun.listen({ unix: `\0${abstractName}`, socket: { data: () => undefined } });
  return { [Symbol.dispose]: () => listener.stop(true) };
}

/** Tries it all out in each of three plugins. */
export async function permissions(service: Service): Promise<void> {
  const { as, state } = service;
  const isRoot = as === "root";
  const secret = `${state}/decoy`;
  writeFileSync(secret, "secret");
  if (!isRoot) await Bun.$`chown nobody ${secret}`.quiet();
  chmodSync(secret, 0o600);
  const pid = await service.mainPid();
  const [connected, database, token, environment, configuration] = await service.probe(
    "bot",
    ["tcp", "127.0.0.1", 8_420],
    ["read", `${state}/conductor.db`],
    ["read", `${state}/token`],
    ["read", `/proc/${pid}/environ`],
    ["read", service.configuration],
  );
  check(as, "it connects nowhere", connected === (isRoot ? "ECONNREFUSED" : "EACCES"), connected);
  const reads = { database, token, environment, configuration };
  check(
    as,
    "it reads neither conductor's state nor its environment",
    Object.values(reads).every((v) => v === "EACCES"),
    reads,
  );
  const limit = `${service.cgroup}/memory.max`;
  const places = [service.pluginFolder("bot"), "/tmp", "/run", "/var/tmp"].map((folder) => `${folder}/new`);
  const [ownPlace, ...written] = await service.probe(
    "bot",
    ["write", `${state}/plugin-data/bot/kept`],
    ...[
      ...places,
      `${service.pluginFolder("bot")}/plugin.yaml`,
      limit,
      `${cgroupOf("self")}/cgroup.procs`,
    ].map((path) => ["write", path]),
  );
  check(as, "it writes to its data folder", ownPlace === "ok", ownPlace);
  const denied = written.every((answer) => answer === "EACCES");
  check(as, "it writes nowhere else, least of all to its cgroup", denied, written);
  using _listener = abstractListener();
  const [reached] = await service.probe("bot", ["run", "python3", "-c", connectAbstract]);
  const asTold = reached === (isRoot ? "refused" : "ok");
  check(
    as,
    isRoot ? "it reaches no abstract socket" : "it reaches an abstract socket, as told",
    asTold,
    reached,
  );
  // What ABI 2 leaves open is told as open: with a user of its own it is closed all the same.
  const [emptied, signalled] = await service.probe("bot", ["truncate", secret], ["kill", pid]);
  const gaps = isRoot
    ? emptied === "EACCES" && signalled === "EPERM"
    : emptied === "ok" && signalled === "ok";
  check(as, isRoot ? "it empties and signals nothing" : "it can do what is told as open", gaps, {
    emptied,
    signalled,
  });
  const granted = await service.probe(
    "granted",
    ["tcp", "127.0.0.1", 8_420],
    ["write", `${service.pluginFolder("granted")}/kept/new`],
    ["write", `${service.pluginFolder("granted")}/new`],
    ["read", `${state}/conductor.db`],
  );
  check(as, "what is granted works, and no more", granted.join() === "ok,ok,EACCES,EACCES", granted);
  const hosted = await service.probe("hosted");
  check(as, "the same holds for a plugin in a host", hosted.join() === "refused,EACCES", hosted);
}
