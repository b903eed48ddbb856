// Checks that independent readers find the right keys in the exports of a bank.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { program } from "../support/server.mjs";
import { generate, moodleXml } from "./bank.mjs";
import { readAiken, readGift, readMoodleXml, readQti } from "./readers.mjs";

const run = promisify(execFile);

/** The number of generated questions. The environment variable `QUESTIONS` changes it. */
const COUNT = Number(process.env.QUESTIONS ?? 600);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

const CATALOGUE = `courses:
  - code: c
    name: Course
    currency: INR
    bundlePrice: 100
    validityDays: 10
    subjects: [{ code: s, name: Subject, listPrice: 100 }]
`;

/**
 * Imports the questions into a new database. Returns the report of the import, and a function that exports the bank.
 */
async function bank(t, questions) {
  const folder = await mkdtemp(join(tmpdir(), "jishu-questions-"));
  t.after(() => rm(folder, { recursive: true }));
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite://${join(folder, "jishu.db")}?mode=rwc` };
  const jishu = (...args) => run(program("jishu"), args, { cwd: folder, env, maxBuffer: 64 << 20 });
  await writeFile(join(folder, "catalogue.yaml"), CATALOGUE);
  await writeFile(join(folder, "questions.xml"), moodleXml(questions));
  await jishu("migrate", "up");
  await jishu("catalogue", "apply", "catalogue.yaml");
  const subject = ["--course", "c", "--subject", "s"];
  const { stdout } = await jishu("import", "questions", "questions.xml", ...subject, "--report", "json");
  return {
    report: JSON.parse(stdout),
    export: async (format) => {
      await jishu("export", "questions", ...subject, "--format", format, "--output", `bank.${format}`);
      return readFile(join(folder, `bank.${format}`), "utf8");
    },
  };
}

/** Returns the key that a question must have, in the form of the readers. */
function expected(question) {
  const texts = (correct) => question.options.filter((option) => option.correct === correct).map((option) => option.text);
  const { id, number, texts: accepted, isCaseSensitive } = question;
  if (number) return { id, number };
  if (accepted) return { id, texts: accepted, isCaseSensitive };
  return { id, correct: texts(true), wrong: texts(false) };
}

const sorted = (texts) => [...texts].sort();

function assertSame(found, key, format) {
  const message = `${format}, seed ${SEED}: ${key.id}`;
  if (key.number) {
    assert.deepEqual(found.number, key.number, message);
  } else if (key.texts) {
    assert.deepEqual(sorted(found.texts), sorted(key.texts), message);
    assert.equal(found.isCaseSensitive, key.isCaseSensitive, message);
  } else {
    assert.deepEqual(sorted(found.correct), sorted(key.correct), message);
    assert.deepEqual(sorted(found.wrong), sorted(key.wrong), message);
  }
}

test("other readers find the same keys in each export", async (t) => {
  const questions = generate(COUNT, SEED);
  const { report, export: exported } = await bank(t, questions);
  assert.equal(report.created, COUNT, JSON.stringify(report.refused));
  const keys = new Map(questions.map((question) => [question.id, expected(question)]));
  for (const [format, read] of [
    ["gift", readGift],
    ["moodle-xml", readMoodleXml],
    ["qti", readQti],
  ]) {
    await t.test(format, async () => {
      const found = read(await exported(format));
      assert.equal(new Set(found.map((key) => key.id)).size, COUNT);
      for (const key of found) assertSame(key, keys.get(key.id), format);
    });
  }
  await t.test("aiken", async () => {
    const byStem = new Map(questions.map((question) => [question.stem, expected(question)]));
    const found = readAiken(await exported("aiken"));
    assert.equal(found.length, questions.filter((question) => question.kind === "single").length);
    for (const key of found) assertSame(key, byStem.get(key.id), "aiken");
  });
});
