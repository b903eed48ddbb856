// Runs the examples in the documents as they are printed, against a server with the demo.
//
// A page marks its examples with `js test` or `sh test` after the fence. The examples of a page run in their order, as
// one program. In JavaScript, a comment after `console.log(…);` is the expected output. For a shell, the next block is
// the expected output.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { webcrypto } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { WebSocket } from "ws";

import { startServer } from "../support/server.mjs";
import { codeBlocks, pages, readPage } from "./markdown.mjs";

/** The origin of the server in the examples. */
const PRINTED_ORIGIN = "http://127.0.0.1:8080";
const SCRIPTS = ["api/docs/frontend.md", "api/docs/sitting.md"];
const SHELLS = ["README.md"];

// The examples use these two globals of browsers. Node.js has `crypto` from version 19, and `WebSocket` from version
// 22.
globalThis.crypto ??= webcrypto;
globalThis.WebSocket ??= WebSocket;

for (const path of SCRIPTS) {
  test(`the examples of ${path} run and print what the page says`, async (t) => {
    const server = await startServer(t);
    const blocks = codeBlocks(await readPage(path)).filter(({ info }) => info === "js test");
    assert.ok(blocks.length > 0, "the page has examples");
    const script = blocks.map(({ text }) => text).join("\n");
    const expected = [...script.matchAll(/console\.log\(.*\);\s*\/\/ (.*)$/gm)].map(([, output]) => output);
    assert.deepEqual(await outputOf(forServer(script, server)), expected);
  });
}

for (const path of SHELLS) {
  test(`the commands of ${path} print what the page says`, async (t) => {
    const server = await startServer(t);
    const blocks = codeBlocks(await readPage(path));
    const positions = [...blocks.keys()].filter((position) => blocks[position].info === "sh test");
    assert.ok(positions.length > 0, "the page has commands");
    const script = positions.map((position) => blocks[position].text).join("\n");
    const { stdout } = await promisify(execFile)("bash", ["-euc", forServer(script, server)]);
    assert.equal(stdout, positions.map((position) => blocks[position + 1].text).join(""));
  });
}

test("every page with marked examples is tested", async () => {
  for (const path of pages()) {
    const infos = codeBlocks(await readPage(path)).map(({ info }) => info);
    assert.equal(infos.includes("js test"), SCRIPTS.includes(path), path);
    assert.equal(infos.includes("sh test"), SHELLS.includes(path), path);
  }
});

function forServer(script, server) {
  return script.replaceAll(PRINTED_ORIGIN, server.origin).replaceAll(PRINTED_ORIGIN.replace("http", "ws"), server.origin.replace("http", "ws"));
}

/** Runs a module, and returns the lines that it printed. */
async function outputOf(script) {
  const folder = await mkdtemp(join(tmpdir(), "jishu-snippets-"));
  const printed = [];
  const { log } = console;
  console.log = (...values) => printed.push(values.map((value) => String(value)).join(" "));
  try {
    const module = join(folder, "page.mjs");
    // The script runs in a temporary folder, so its imports are resolved from the folder of this test.
    const imports = script.replaceAll(/ from "([^".][^"]*)"/g, (_, name) => ` from "${import.meta.resolve(name)}"`);
    await writeFile(module, imports);
    await import(pathToFileURL(module));
    return printed;
  } finally {
    console.log = log;
    await rm(folder, { recursive: true });
  }
}
