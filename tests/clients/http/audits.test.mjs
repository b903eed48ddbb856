// Checks the server against the GraphQL over HTTP specification, with the audits of `graphql-http`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { serverAudits } from "graphql-http";

import { startServer } from "../support/server.mjs";

test("the server passes every audit of GraphQL over HTTP", async (t) => {
  const server = await startServer(t);
  const audits = serverAudits({ url: server.url, fetchFn: fetch });
  assert.equal(audits.length, 61, "another version of graphql-http has other audits: see what changed");
  for (const audit of audits) {
    await t.test(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      // The statuses "warn" and "notice" are breaches of SHOULD and MAY. They fail the test, too.
      assert.equal(result.status, "ok", await reasonOf(result));
    });
  }
});

async function reasonOf({ reason, response }) {
  return response && `${reason}\n${response.status} ${response.headers.get("content-type")}\n${await response.text()}`;
}
