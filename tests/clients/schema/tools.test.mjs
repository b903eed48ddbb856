// Runs the compilers that frontends use on the schema.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { codegen } from "@graphql-codegen/core";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

import * as documents from "../frontends/documents.mjs";
import { compileRelay } from "../support/relay.mjs";
import { root } from "../support/server.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

test("relay-compiler takes the schema and the documents of a frontend", async () => {
  const { artifacts } = await compileRelay(here("../frontends/relay/documents.js"));
  const { metadata } = artifacts.documents_cards;
  assert.deepEqual(metadata.connection[0].path, ["mockTestAttempts"]);
  // relay-compiler derives from the interface Node that a user can be fetched again by the id alone.
  assert.equal(metadata.refetch.identifierInfo.identifierField, "id");
});

test("graphql-codegen writes types that TypeScript accepts, with every scalar known", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "jishu-codegen-"));
  t.after(() => rm(folder, { recursive: true }));
  const types = await codegen({
    filename: "schema.ts",
    schema: parse(await readFile(join(root, "schema.graphql"), "utf8")),
    documents: Object.entries(documents).map(([location, text]) => ({ location, document: parse(text) })),
    // `strictScalars` makes a scalar without a configured type an error. Otherwise the scalar would have the type
    // `any`.
    config: {
      strictScalars: true,
      scalars: { DateTime: "string", Decimal: "string", UUID: "string" },
      enumsAsTypes: true,
      useTypeImports: true,
      dedupeFragments: true,
    },
    plugins: [{ typescript: {} }, { typescriptOperations: {} }],
    pluginMap: { typescript, typescriptOperations },
  });
  await writeFile(join(folder, "schema.ts"), types);
  await cp(here("consumer.ts"), join(folder, "consumer.ts"));
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
  await promisify(execFile)(process.execPath, [compiler, ...flags, "consumer.ts"], { cwd: folder }).catch(
    ({ stdout }) => assert.fail(stdout),
  );
});
