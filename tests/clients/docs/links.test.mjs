// Checks the links in the documents.

import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

import { root } from "../support/server.mjs";
import { anchors, contents, linkTargets, pages, readPage, sections } from "./markdown.mjs";

/** Pages that others wrote, with links that lead out of the repository. */
const FOREIGN = ["api/docs/third-party-licences.md"];

test("every link to a file or a heading of the repository has a target", async () => {
  const broken = [];
  for (const path of pages().filter((path) => !FOREIGN.includes(path))) {
    const page = await readPage(path);
    for (const target of linkTargets(page)) {
      if (/^[a-z]+:/i.test(target)) continue;
      const [file, anchor] = target.split("#");
      const linked = file === "" ? path : normalize(join(dirname(path), decodeURI(file)));
      const found = await stat(join(root, linked)).catch(() => null);
      if (found === null || linked.startsWith("..")) {
        broken.push(`${path}: there is no file ${linked}`);
      } else if (anchor !== undefined && linked.endsWith(".md") && !anchors(await readPage(linked)).includes(anchor)) {
        broken.push(`${path}: ${linked} has no heading #${anchor}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

test("every table of contents lists the sections of its page", async () => {
  for (const path of pages()) {
    const page = await readPage(path);
    if (contents(page).length > 0) assert.deepEqual(contents(page), sections(page), path);
  }
});

test("README.md has at most 10 KB", async () => {
  const { size } = await stat(join(root, "README.md"));
  assert.ok(size <= 10 * 1024, `README.md has ${size} bytes: move details to api/docs`);
});

test("links and anchors are read as GitHub reads them", () => {
  const page = "# A `b` & C\n\n[x](a.md#b) `[no](c.md)` [y](#z)\n\n```\n[no](d.md)\n```\n\n## A `b` & C\n\n[ref]: e.md\n";
  assert.deepEqual(linkTargets(page), ["a.md#b", "#z", "e.md"]);
  assert.deepEqual(anchors(page), ["a-b--c", "a-b--c-1"]);
  assert.deepEqual(sections(page), ["a-b--c-1"]);
  assert.deepEqual(contents("# A\n\n- [B](#b)\n\n## B\n\n- [C](#c)\n"), ["b"]);
});
