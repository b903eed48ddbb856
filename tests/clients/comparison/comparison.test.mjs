// Executes the same documents with the Rust engine and with graphql-js, and compares the responses.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { graphql } from "graphql";

import { program } from "../support/server.mjs";
import { differenceOf } from "./difference.mjs";
import { newContext, referenceSchema } from "./reference.mjs";

/** Maximum share of documents whose responses may differ: 1.5 per cent. */
const MAX_SHARE_OF_DIFFERENCES = 3 / 200;

test("documents are answered as graphql-js answers them", async (t) => {
  const address = await startReferenceServer(t);
  const schema = referenceSchema(await (await fetch(address)).text());
  const explained = new Map(
    JSON.parse(await readFile(new URL("differences.json", import.meta.url))).map((entry) => [keyOf(entry), entry]),
  );
  assert.ok([...explained.values()].every(({ reason }) => reason?.length > 5), "each difference has its reason");
  const seen = new Set();
  const repeated = [];
  let differing = 0;

  for (const topic of await topics()) {
    await t.test(topic, async () => {
      const { default: cases } = await import(`./documents/${topic}.mjs`);
      const unexplained = [];
      for (const request of cases) {
        const key = keyOf(request);
        if (seen.has(key)) repeated.push(key);
        seen.add(key);
        const [ours, theirs] = await Promise.all([askRust(address, request), askGraphqlJs(schema, request)]);
        const difference = differenceOf(ours, theirs);
        if (difference) differing += 1;
        if (difference !== explained.get(key)?.difference) unexplained.push({ ...request, difference, ours, theirs });
      }
      assert.equal(unexplained.length, 0, unexplained.map(describe).join("\n"));
    });
  }

  const gone = [...explained.keys()].filter((key) => !seen.has(key));
  assert.deepEqual(gone, [], "differences.json explains cases that no longer exist");
  assert.deepEqual(repeated, []);
  t.diagnostic(`${seen.size} documents, ${differing} with a different response`);
  assert.ok(seen.size >= 300, `only ${seen.size} documents were found`);
  assert.ok(differing <= seen.size * MAX_SHARE_OF_DIFFERENCES, `${differing} of ${seen.size} documents differ`);
});

async function topics() {
  const files = await readdir(new URL("documents", import.meta.url));
  return files.filter((file) => file.endsWith(".mjs")).map((file) => file.slice(0, -".mjs".length)).sort();
}

/** Runs the reference server until the test ends, and returns its address. */
async function startReferenceServer(t) {
  const child = spawn(program("reference-server"), { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.stdin.end());
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the reference server ended with ${code}`)));
    createInterface(child.stdout).once("line", resolve);
  });
}

async function askRust(address, { document, variables, operationName }) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: document, variables, operationName }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${document}: ${text}`);
  return JSON.parse(text);
}

async function askGraphqlJs(schema, { document, variables, operationName }) {
  const answer = await graphql({
    schema,
    source: document,
    variableValues: variables,
    operationName,
    contextValue: newContext(),
  });
  // Converts the response to the form in which a client gets it.
  return JSON.parse(JSON.stringify(answer));
}

function keyOf({ document, variables = {}, operationName = null }) {
  return JSON.stringify({ document, variables, operationName });
}

function describe({ document, variables, operationName, difference, ours, theirs }) {
  const what = difference ? `differs: ${difference}` : "no longer differs, take it out of differences.json";
  return [
    JSON.stringify({ document, variables, operationName, difference }),
    `  ${what}`,
    `  ours:   ${JSON.stringify(ours)}`,
    `  theirs: ${JSON.stringify(theirs)}`,
  ].join("\n");
}
