// Checks the licences of dependencies, and which crates are built in several versions.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { chooseLicences } from "./licence.mjs";
import { PAGE, crateRows, packageRows, tableOf } from "./licences-page.mjs";
import { cratesOf, dependentsOf, readMetadata, thirdParty } from "./metadata.mjs";
import { ALLOWED_IN_TESTS, ALLOWED_LICENCES, SEVERAL_VERSIONS, UNNAMED_LICENCES } from "./policy.mjs";

const metadata = readMetadata();
const binary = cratesOf(metadata, "jishu-api", [null, "build"]);

test("every dependency has an allowed licence", () => {
  const inBinary = new Set(binary.map((crate) => crate.id));
  const refused = thirdParty(metadata).filter((crate) => {
    const allowed = inBinary.has(crate.id) ? ALLOWED_LICENCES : [...ALLOWED_LICENCES, ...ALLOWED_IN_TESTS];
    const licence = crate.license ?? UNNAMED_LICENCES[crate.name];
    return licence === undefined || chooseLicences(licence, allowed) === null;
  });
  assert.deepEqual(
    refused.map(
      (crate) =>
        `${crate.name} ${crate.version} has the licence ${crate.license}, and is needed by ` +
        `${dependentsOf(metadata, crate).join(", ")}. Use another crate, or ask the owner of jishu whether to add ` +
        `the licence to tests/clients/dependencies/policy.mjs.`,
    ),
    [],
  );
});

test("a crate is built in several versions only for a recorded reason", () => {
  const versions = groupByName(binary);
  const several = [...versions].filter(([, crates]) => crates.length > 1);
  const problems = [];
  for (const [name, crates] of several) {
    const found = crates.map(compatible).sort(byNumber);
    if (found.join() === SEVERAL_VERSIONS[name]?.versions.join()) continue;
    const needs = crates.map((crate) => `${crate.version} by ${dependentsOf(metadata, crate).join(", ")}`);
    problems.push(
      `${name} is built in several versions: ${needs.join("; ")}. Let all of them use one version, or record ` +
        `[${found.join(", ")}] and the reason in SEVERAL_VERSIONS of tests/clients/dependencies/policy.mjs.`,
    );
  }
  for (const name of Object.keys(SEVERAL_VERSIONS)) {
    if (!several.some(([doubled]) => doubled === name)) {
      problems.push(`${name} has one version now: remove it from SEVERAL_VERSIONS of tests/clients/dependencies/policy.mjs.`);
    }
  }
  assert.deepEqual(problems, []);
});

test("api/docs/third-party-licences.md lists what is in the binary", async () => {
  const page = await readFile(PAGE, "utf8");
  for (const table of [tableOf(crateRows(metadata)), tableOf(await packageRows())]) {
    const missing = table.split("\n").filter((row) => !page.includes(`\n${row}\n`));
    assert.deepEqual(missing, [], "the page lacks these rows: run node tests/clients/dependencies/licences-page.mjs");
  }
  const rows = page.split("\n").filter((line) => /^\| \S+ \| \d/.test(line));
  assert.equal(
    rows.length,
    crateRows(metadata).length + (await packageRows()).length,
    "the page lists other crates or packages: run node tests/clients/dependencies/licences-page.mjs",
  );
});

test("every package of the GraphiQL page has an allowed licence", async () => {
  const refused = (await packageRows()).filter(({ licences }) => licences[0].startsWith("not allowed"));
  assert.deepEqual(refused.map(({ name, licences }) => `${name}: ${licences}`), []);
});

test("licence expressions are read as SPDX defines them", () => {
  const allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception", "Apache-2.0"];
  for (const [expression, chosen] of [
    ["MIT", ["MIT"]],
    ["GPL-3.0", null],
    ["Apache-2.0 OR MIT", ["MIT"]],
    ["MIT/Apache-2.0", ["MIT"]],
    ["GPL-3.0 OR ISC", ["ISC"]],
    ["MIT AND GPL-3.0", null],
    ["(GPL-3.0 OR Apache-2.0) AND ISC", ["Apache-2.0", "ISC"]],
    ["GPL-2.0 WITH Classpath-exception-2.0 OR Apache-2.0 WITH LLVM-exception", ["Apache-2.0 WITH LLVM-exception"]],
    ["ISC AND (Apache-2.0 OR ISC)", ["ISC"]],
  ]) {
    assert.deepEqual(chooseLicences(expression, allowed), chosen, expression);
  }
});

function groupByName(crates) {
  const groups = new Map();
  for (const crate of crates) groups.set(crate.name, [...(groups.get(crate.name) ?? []), crate]);
  return groups;
}

/** Returns the part of a version that stays the same in compatible releases: `2` of 2.13.2, `0.10` of 0.10.4. */
function compatible({ version }) {
  const [major, minor] = version.split(".");
  return major === "0" ? `${major}.${minor}` : major;
}

function byNumber(left, right) {
  return left.localeCompare(right, "en", { numeric: true });
}
