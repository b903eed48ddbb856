// Sends the requests with which graphql-cop looks for weaknesses of a public server. The server must have none of these
// weaknesses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { startServer } from "../support/server.mjs";

const repeat = (count, text) => Array.from({ length: count }, (_, index) => text(index)).join("\n");

test("graphql-cop's classes of weaknesses are not found", async (t) => {
  const server = await startServer(t);
  const ask = async (query) => (await server.post({ query })).json();
  /** Asserts that a document is refused with a short response, and that nothing is executed. */
  const refuses = async (query) => {
    const { data, errors } = await ask(query);
    assert.equal(data ?? null, null);
    assert.ok(errors.length >= 1 && errors.length < 10, `${errors.length} errors`);
    return errors;
  };

  await t.test("alias overloading", () => refuses(`query { ${repeat(101, (n) => `alias${n}: __typename`)} }`));

  await t.test("field duplication", () => refuses(`query { ${repeat(500, () => "__typename")} }`));

  await t.test("directive overloading", async () => {
    await refuses(`query { __typename ${"@aa".repeat(10)} }`);
    await refuses(`query { __typename ${"@include(if: true)".repeat(10)} }`);
  });

  await t.test("array-based batching", async () => {
    const response = await server.post(Array(10).fill({ query: "query { __typename }" }));
    const body = await response.json();
    assert.equal(response.status, 400);
    assert.ok(!Array.isArray(body) && body.errors.length === 1);
  });

  await t.test("circular introspection", () =>
    refuses("{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }"),
  );

  await t.test("field suggestions", async () => {
    for (const document of ["{ __schema { directive } }", "{ viewe { id } }", "{ viewer { emai } }", "{ node(i: 1) { id } }"]) {
      assert.doesNotMatch(JSON.stringify(await refuses(document)), /did you mean/i);
    }
  });

  await t.test("mutations over GET", async () => {
    const document = 'mutation { login(input: { email: "a@example.com", password: "x" }) { tokens { accessToken } } }';
    for (const query of [document, "mutation { __typename }"]) {
      const response = await fetch(`${server.url}?${new URLSearchParams({ query })}`);
      assert.equal(response.status, 405);
      assert.equal((await response.json()).data, undefined);
    }
  });

  await t.test("requests that a form of another site can send", async () => {
    const query = "query { __typename }";
    const forms = {
      "application/x-www-form-urlencoded": String(new URLSearchParams({ query })),
      "text/plain": JSON.stringify({ query }),
      "multipart/form-data; boundary=x": `--x\r\ncontent-disposition: form-data; name="query"\r\n\r\n${query}\r\n--x--\r\n`,
    };
    for (const [type, body] of Object.entries(forms)) {
      const response = await server.post(body, { "content-type": type });
      assert.equal(response.status, 415, type);
      assert.equal((await response.json()).data, undefined);
    }
    const inAddress = await fetch(`${server.url}?${new URLSearchParams({ query })}`, { method: "POST" });
    assert.ok(inAddress.status >= 400 && (await inAddress.json()).data === undefined);
  });

  await t.test("traces and debug output in responses", async () => {
    for (const document of ["query { __typename }", "query { ", "query { unknown }", '{ node(id: "\\u0000") { id } }']) {
      const answer = await ask(document);
      assert.equal(answer.extensions?.tracing, undefined);
      assert.doesNotMatch(JSON.stringify(answer), /stacktrace|backtrace|\.rs:\d|panicked|SELECT |sqlx/i);
    }
  });

  await t.test("unhandled errors", async () => {
    const [error] = await refuses("qwerty cop { abc }");
    assert.equal(error.extensions.code, "GRAPHQL_VALIDATION_FAILED");
    assert.doesNotMatch(JSON.stringify(error), /exception/i);
  });
});
