// Clients send documents by their hash: trusted documents from the manifest of relay-compiler, and automatic persisted
// queries of Apollo Client.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import relay from "relay-runtime";

import { compileRelay } from "../support/relay.mjs";
import { password, startServer } from "../support/server.mjs";
import * as documents from "./documents.mjs";

test("a server that trusts Relay's manifest runs its documents and no others", async (t) => {
  const source = fileURLToPath(new URL("relay/documents.js", import.meta.url));
  const { artifacts, manifest } = await compileRelay(source, { persist: true });
  const folder = await mkdtemp(join(tmpdir(), "jishu-manifest-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "manifest.json");
  await writeFile(file, manifest);
  const server = await startServer(t, { args: ["--trusted-documents", file, "--trusted-documents-only"] });

  const sent = [];
  const send = async ({ id, text }, variables) => {
    assert.equal(text, null);
    sent.push(id);
    return (await server.post({ documentId: id, variables })).json();
  };
  const environment = new relay.Environment({
    network: relay.Network.create(send),
    store: new relay.Store(new relay.RecordSource()),
  });
  const payload = await new Promise((resolve, reject) => {
    relay.commitMutation(environment, {
      mutation: artifacts.documentsRegisterMutation,
      variables: { input: { name: "Asha", email: "asha@example.com", password } },
      onCompleted: (answer) => resolve(answer.register),
      onError: reject,
    });
  });
  assert.equal(payload.user.name, "Asha");
  assert.deepEqual(sent, [artifacts.documentsRegisterMutation.params.id]);

  const { data, errors } = await server.request("{ viewer { id } }");
  assert.equal(data, undefined);
  assert.equal(errors[0].extensions.code, "PERSISTED_DOCUMENT_REQUIRED");
});

test("Apollo Client sends a query once, and its hash from then on", async (t) => {
  const server = await startServer(t);
  const bodies = [];
  const recording = (url, init) => {
    bodies.push(JSON.parse(init.body));
    return fetch(url, init);
  };
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const ask = async () => {
    const client = new ApolloClient({
      link: new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: server.url, fetch: recording })),
      cache: new InMemoryCache(),
    });
    const { data } = await client.query({ query: gql(documents.viewer) });
    assert.deepEqual(data, { viewer: null });
    client.stop();
  };
  await ask();
  await ask();
  assert.deepEqual(
    bodies.map(({ query, extensions }) => [query !== undefined, extensions.persistedQuery.version]),
    [
      [false, 1],
      [true, 1],
      [false, 1],
    ],
  );
});
