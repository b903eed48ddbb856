// Restarts two nodes behind HAProxy, one after the other, while learners buy and sit tests. No request may fail, and
// each WebSocket must be closed with the code that tells the client to connect again. Needs PostgreSQL, and Debian's
// package haproxy.
//
//   ROUNDS=2 node tests/clients/deploy/rolling-restart.mjs

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WebSocket } from "ws";

import { root } from "../support/server.mjs";
import { Storm, assertSound, freePort, inLab, pause, until } from "./lab.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 1);
const LEARNERS = 4;
const SOCKETS = 10;
/**
 * The notice before a node stops. HAProxy needs less to see it: two checks, a second apart, and the time of a check.
 */
const NOTICE_SECONDS = 4;

/** A WebSocket with a subscription. When the server closes it, it records the code and connects again. */
class Subscriber {
  constructor(origin, token) {
    Object.assign(this, { origin, token, codes: [], isOver: false, isConnected: false });
    this.connect();
  }

  connect() {
    const socket = new WebSocket(`${this.origin.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    this.socket = socket;
    socket.on("open", () => {
      socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${this.token}` } }));
    });
    socket.on("message", (message) => {
      if (JSON.parse(message).type !== "connection_ack") return;
      this.isConnected = true;
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: "subscription { mockTestAttemptChanged { id } }" } }));
    });
    socket.on("error", (error) => this.codes.push(String(error)));
    socket.on("close", (code) => {
      this.isConnected = false;
      if (this.isOver) return;
      this.codes.push(code);
      this.connect();
    });
  }

  end() {
    this.isOver = true;
    this.socket.close();
  }
}

await inLab(async (lab) => {
  const database = await lab.postgres();
  const args = ["--drain-notice-seconds", `${NOTICE_SECONDS}`, "--trusted-proxies", "127.0.0.1"];
  const nodes = [];
  for (let number = 0; number < 2; number += 1) nodes.push(await lab.node({ url: database.url, args }));

  const port = await freePort();
  const written = (await readFile(join(root, "api/deploy/haproxy.cfg"), "utf8"))
    .replace("bind :8080", `bind 127.0.0.1:${port}`)
    .replace(/^resolvers system\n(?: .*\n)*/m, "")
    .replace(" resolvers system init-addr last,libc,none", "")
    .replace("node1:8080", `127.0.0.1:${nodes[0].port}`)
    .replace("node2:8080", `127.0.0.1:${nodes[1].port}`);
  const config = join(lab.folder, "haproxy.cfg");
  await writeFile(config, written);
  const proxy = lab.start("haproxy", ["-db", "-f", config]);
  const origin = `http://127.0.0.1:${port}`;
  await until("HAProxy serves", async () => {
    assert.equal(proxy.exitCode, null, proxy.log);
    return (await fetch(`${origin}/health/live`).catch(() => undefined))?.status === 200;
  });

  const storm = new Storm(() => origin);
  const { register } = await storm.send(
    origin,
    "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }",
    { input: { name: "Binod", email: "binod@example.com", password: "correct horse battery staple" } },
  );
  const subscribers = Array.from({ length: SOCKETS }, () => new Subscriber(origin, register.tokens.accessToken));
  await until("all subscribe", () => subscribers.every((subscriber) => subscriber.isConnected));
  storm.start(LEARNERS);
  await pause(2_000);

  const stops = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const node of nodes) {
      const began = Date.now();
      const stopping = lab.stop(node.child);
      await pause(500);
      const said = await fetch(`${node.origin}/health/ready`);
      assert.deepEqual([said.status, await said.text()], [503, "draining: the node is stopping\n"]);
      assert.equal(await stopping, 0, node.child.log);
      stops.push(Date.now() - began);
      Object.assign(node, await lab.node({ url: database.url, args, port: node.port }));
      // HAProxy uses the node again after two checks.
      await pause(3_000);
    }
  }
  await until("all are connected again", () => subscribers.every((subscriber) => subscriber.isConnected));
  await storm.end();
  const codes = subscribers.flatMap((subscriber) => subscriber.codes);
  for (const subscriber of subscribers) subscriber.end();
  for (const node of nodes) await lab.stop(node.child);

  console.log(`${storm.requests} requests, ${storm.failures.length} failed, ${storm.purchases.length} purchases, ${storm.sittings} sittings`);
  console.log(`${2 * ROUNDS} restarts, each stop in ${stops.map((stop) => (stop / 1000).toFixed(1)).join(", ")} s`);
  console.log(`${codes.length} WebSockets were closed and connected again; codes: ${[...new Set(codes)].join(", ")}`);
  assert.deepEqual(storm.failures, []);
  assert.ok(storm.requests > 50, "the storm sent too few requests");
  // A round restarts every node, and each WebSocket was on one of the nodes. So a round closed each WebSocket at least
  // once.
  assert.ok(subscribers.every((subscriber) => subscriber.codes.length >= ROUNDS), JSON.stringify(codes));
  assert.deepEqual([...new Set(codes)], [1001]);
  console.log(await assertSound(database.url));
});
