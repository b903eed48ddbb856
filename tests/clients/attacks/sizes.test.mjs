// Sends requests that are built to be expensive. The server must refuse each at once, and still serve other clients
// quickly.
//
// A debug build must refuse each request within two seconds. These commands measure a release build:
//
//   cargo build --release && JISHU_BIN=$PWD/target/release REFUSED_WITHIN_MS=50 tests/clients/run sizes

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";

import { startServer } from "../support/server.mjs";

const MAX_REFUSAL_MS = Number(process.env.REFUSED_WITHIN_MS ?? 2_000);
const ROUNDS = 5;

const json = (query) => Buffer.from(JSON.stringify({ query }));
const numbered = (count, text) => Array.from({ length: count }, (_, index) => text(index)).join(" ");

const attacks = {
  "a fan of fragments in 826 bytes": json(fan(826)),
  "10,000 aliases": json(`{ ${numbered(10_000, (n) => `a${n}: __typename`)} }`),
  "5,000 opening braces": json("{".repeat(5_000)),
  "a body of 6 MB": json(`{ __typename } #${"x".repeat(6_000_000)}`),
  "a batch of 20,000": Buffer.from(JSON.stringify(Array(20_000).fill({ query: "{ __typename }" }))),
  "10,000 directives": json(`{ __typename ${"@include(if: true) ".repeat(10_000)} }`),
  "10,000 fragments": json(`{ __typename } ${numbered(10_000, (n) => `fragment F${n} on Query { __typename }`)}`),
  "10,000 operations": json(numbered(10_000, (n) => `query Q${n} { __typename }`)),
  "lists of 10,000 in lists": json(`{ node(id: ${"[".repeat(10_000)}) { id } }`),
};

/** Returns a document with this number of bytes, in which each fragment spreads the next fragment twice. */
function fan(bytes) {
  const last = (n) => `fragment f${n} on User{id}`;
  let [document, n] = ["{viewer{...f0}}", 0];
  for (;;) {
    const next = `${document}fragment f${n} on User{...f${n + 1}...f${n + 1}}`;
    if (next.length + last(n + 1).length > bytes) return (document + last(n)).padEnd(bytes);
    [document, n] = [next, n + 1];
  }
}

const headers = { accept: "application/graphql-response+json", "content-type": "application/json" };

/** Sends an attack and returns how long the refusal took, in milliseconds. */
async function attack(server, name) {
  const start = performance.now();
  const { status, body } = await send(server.url, attacks[name]);
  const elapsed = performance.now() - start;
  const answer = JSON.parse(body);
  assert.ok(status >= 400 && status < 500, `${name}: ${status}`);
  assert.equal(answer.data, undefined, name);
  assert.equal(answer.errors.length, 1, name);
  return { elapsed, message: answer.errors[0].message };
}

/** Posts a body without `fetch`, which would fail if the response came before the whole body was sent. */
function send(url, body) {
  return new Promise((resolve, reject) => {
    let answered = false;
    const length = { "content-length": body.length };
    const sending = request(url, { method: "POST", headers: { ...headers, ...length }, agent }, async (response) => {
      answered = true;
      try {
        resolve({ status: response.statusCode, body: (await response.setEncoding("utf8").toArray()).join("") });
      } catch (error) {
        reject(error);
      }
    });
    sending.on("error", (error) => answered || reject(error));
    sending.end(body);
  });
}
const agent = new Agent({ keepAlive: true });

test("requests made to cost much are refused at once", async (t) => {
  const server = await startServer(t);
  for (const name of Object.keys(attacks)) {
    await t.test(name, async (t) => {
      const rounds = [];
      for (let round = 0; round < ROUNDS; round += 1) rounds.push(await attack(server, name));
      const slowest = Math.max(...rounds.map(({ elapsed }) => elapsed));
      t.diagnostic(`${slowest.toFixed(1)} ms: ${rounds[0].message}`);
      assert.ok(slowest <= MAX_REFUSAL_MS, `refused only after ${slowest} ms`);
    });
  }
});

test("other clients are served while expensive requests come in", async (t) => {
  const server = await startServer(t);
  let over = false;
  const storm = Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const name of Object.keys(attacks)) await attack(server, name);
      }
    }),
  ).finally(() => (over = true));
  const waits = [];
  while (!over) {
    const start = performance.now();
    const { courses } = await server.data("{ courses(first: 1) { edges { node { name } } } }");
    waits.push(performance.now() - start);
    assert.equal(courses.edges.length, 1);
  }
  await storm;
  const slowest = Math.max(...waits);
  t.diagnostic(`${waits.length} requests of others, the slowest took ${slowest.toFixed(1)} ms`);
  assert.ok(waits.length > 10 && slowest <= MAX_REFUSAL_MS, `${waits.length} requests, the slowest took ${slowest} ms`);
});
