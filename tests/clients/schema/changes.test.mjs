// Checks that changes of the schema do not break existing clients.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { buildSchema, findDangerousChanges } from "graphql";

import { breakingChanges, deprecations, removalDay, versions } from "./history.mjs";

/** Minimum number of days from a deprecation to the removal. */
const MIN_NOTICE_DAYS = 180;

test("no version of the schema breaks clients of the version before it", async (t) => {
  const accepted = JSON.parse(await readFile(new URL("accepted-changes.json", import.meta.url)));
  const changes = [];
  for (const [before, after] of pairs(await versions())) {
    for (const { description } of findDangerousChanges(before.schema, after.schema)) {
      t.diagnostic(`${after.name}, worth a look: ${description}`);
    }
    for (const change of breakingChanges(before, after)) changes.push({ change, version: after.name });
  }
  const refused = changes.filter(({ change }) => !accepted.some((entry) => entry.change === change));
  assert.deepEqual(refused, [], "these changes break clients: deprecate first, or give the reason in accepted-changes.json");
  const unknown = accepted.filter(({ change }) => !changes.some((found) => found.change === change));
  assert.deepEqual(unknown, [], "accepted-changes.json has changes that never happened");
  assert.ok(accepted.every(({ reason }) => reason?.length > 20), "an accepted change needs a reason");
});

test("a deprecation names a replacement, and a day of removal at least 180 days later", async () => {
  const announcedOn = new Map();
  for (const { schema, day } of await versions()) {
    for (const [coordinate, reason] of deprecations(schema)) {
      if (!announcedOn.has(coordinate)) announcedOn.set(coordinate, day);
      const removal = removalDay(reason);
      assert.ok(removal, `${coordinate}: write "Use …. May be removed from YYYY-MM-DD.", not ${JSON.stringify(reason)}`);
      const notice = (Date.parse(removal) - Date.parse(announcedOn.get(coordinate))) / 86_400_000;
      assert.ok(notice >= MIN_NOTICE_DAYS, `${coordinate} may be removed ${notice} days after its deprecation`);
    }
  }
});

test("breaking changes are found, and an announced removal does not count", () => {
  const version = (sdl, day) => ({ name: day, day, schema: buildSchema(sdl) });
  const old = version(
    `type Query {
      a: Int
      b(x: Int): Int @deprecated(reason: "Use a. May be removed from 2027-06-01.")
      c(x: Int @deprecated(reason: "Leave it out. May be removed from 2027-06-01.")): E
    }
    enum E { ONE TWO @deprecated(reason: "Use ONE. May be removed from 2027-06-01.") }`,
    "2026-11-24",
  );
  const lean = "type Query { a: Int c: E } enum E { ONE }";
  assert.deepEqual(breakingChanges(old, version(lean, "2027-06-01")), []);
  assert.equal(breakingChanges(old, version(lean, "2027-05-31")).length, 3);
  assert.deepEqual(breakingChanges(old, version("type Query { a: Int b: Int c: E } enum E { ONE }", "2027-06-01")), [
    "ARG_REMOVED: Query.b arg x was removed.",
  ]);
  assert.deepEqual(breakingChanges(version("type Query { a: Int! }", "1"), version("type Query { a: Int }", "2")), [
    "FIELD_CHANGED_KIND: Query.a changed type from Int! to Int.",
  ]);
});

const pairs = (list) => list.slice(1).map((after, index) => [list[index], after]);
