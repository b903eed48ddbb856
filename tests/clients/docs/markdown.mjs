// Reads the parts of a Markdown page that the tests check: code blocks, links and anchors.

import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { root } from "../support/server.mjs";

/** Returns the Markdown files of the repository, as paths from its root. */
export function pages() {
  const options = { cwd: root, encoding: "utf8" };
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], options);
  return files.split("\n").filter((path) => path !== "");
}

/** Returns the text of a page. */
export const readPage = (path) => readFile(join(root, path), "utf8");

/** Returns the fenced code blocks of a page, each with the text after the opening fence and the code. */
export function codeBlocks(page) {
  const blocks = [...page.matchAll(/^(`{3,})(.*)\n([\s\S]*?)^\1$/gm)];
  return blocks.map(([, , info, text]) => ({ info: info.trim(), text }));
}

const withoutCode = (page) => page.replaceAll(/^(`{3,}).*\n[\s\S]*?^\1$/gm, "");

/** Returns the targets of the links of a page, except those in code. */
export function linkTargets(page) {
  const text = withoutCode(page).replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, " "));
  const inline = [...text.matchAll(/\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)/g)];
  const references = [...text.matchAll(/^\[[^\]]+\]:\s+(\S+)$/gm)];
  return [...inline, ...references].map(([, target]) => target);
}

/** Returns the anchors that the headings of a page have on GitHub. */
export const anchors = (page) => headings(page).map(({ anchor }) => anchor);

/** Returns the anchors of the sections of a page: the headings of the second level. */
export const sections = (page) => headings(page).filter(({ level }) => level === 2).map(({ anchor }) => anchor);

/** Returns the anchors in the table of contents of a page: the list of links above the first section. */
export function contents(page) {
  const [opening] = withoutCode(page).split(/^## /m);
  return [...opening.matchAll(/^- \[[^\]]*\]\(#([^)]*)\)$/gm)].map(([, anchor]) => anchor);
}

function headings(page) {
  const seen = new Map();
  const found = [...withoutCode(page).matchAll(/^(#{1,6})\s+(.*?)\s*$/gm)];
  return found.map(([, marks, heading]) => {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return { level: marks.length, anchor: before === 0 ? anchor : `${anchor}-${before}` };
  });
}
