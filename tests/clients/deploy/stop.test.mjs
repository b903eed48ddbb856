// Checks that a node tells load balancers when it starts, and when it is about to stop.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { WebSocket } from "ws";

import { Lab, freePort, pause, until } from "./lab.mjs";
import { program } from "../support/server.mjs";

/** Returns a lab that ends with the test. */
async function labOf(t) {
  const lab = await Lab.make();
  t.after(() => lab.end());
  return lab;
}

const health = async (origin) => {
  const response = await fetch(`${origin}/health/ready`, { headers: { connection: "close" } });
  return [response.status, await response.text()];
};

test("a node that waits for its database reports that it is starting", async (t) => {
  const lab = await labOf(t);
  // This server takes the place of a database. It accepts connections and never responds.
  const sockets = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const port = await freePort();
  const url = `postgres://jishu@127.0.0.1:${silent.address().port}/jishu`;
  const child = lab.start(program("jishu"), ["serve", "--listen", `127.0.0.1:${port}`, "--database-url", url]);
  const origin = `http://127.0.0.1:${port}`;
  await until("it listens", () => fetch(`${origin}/health/live`).then(() => true, () => false));
  assert.equal((await fetch(`${origin}/health/live`)).status, 200);
  assert.deepEqual(await health(origin), [503, "starting: the node is not ready yet\n"]);
  const refused = await fetch(`${origin}/graphql?query={__typename}`);
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  assert.equal(await lab.stop(child), 0, child.log);
});

test("a node announces its stop, serves meanwhile, and then closes WebSockets with 1001", async (t) => {
  const lab = await labOf(t);
  const node = await lab.node({ url: `sqlite://${lab.folder}/jishu.db?mode=rwc`, args: ["--drain-notice-seconds=2"] });
  const socket = new WebSocket(`${node.origin.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  await once(socket, "open");
  const closed = once(socket, "close");
  socket.send(JSON.stringify({ type: "connection_init" }));
  await once(socket, "message");

  const began = Date.now();
  const stopped = lab.stop(node.child);
  await until("it says so", async () => (await health(node.origin))[1] === "draining: the node is stopping\n");
  assert.equal((await health(node.origin))[0], 503);
  while (Date.now() - began < 1_500) {
    const response = await fetch(`${node.origin}/graphql?query={__typename}`);
    assert.equal(response.status, 200);
    assert.equal(socket.readyState, WebSocket.OPEN);
    await pause(100);
  }
  const [code] = await closed;
  assert.ok(Date.now() - began >= 1_900, "the notice was too short");
  assert.equal(code, 1001);
  assert.equal(await stopped, 0, node.child.log);
  await assert.rejects(fetch(`${node.origin}/health/live`));
});
