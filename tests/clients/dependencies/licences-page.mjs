// Writes api/docs/third-party-licences.md: the crates and npm packages in the binary, with the texts of their
// licences. Run it when dependencies change:
//
//   node tests/clients/dependencies/licences-page.mjs

import { execFileSync } from "node:child_process";
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { root } from "../support/server.mjs";
import { chooseLicences } from "./licence.mjs";
import { cratesOf, readMetadata } from "./metadata.mjs";
import { ALLOWED_IN_PAGE, ALLOWED_LICENCES, UNNAMED_LICENCES } from "./policy.mjs";

/** The path of the page. */
export const PAGE = join(root, "api/docs/third-party-licences.md");

const GRAPHIQL = join(root, "api/graphiql");

/** Matches the names of files that contain a licence, or a notice that must be passed on. */
const LICENCE_FILE = /^(licen[cs]e|copying|unlicense|notice|copyright)/i;

/** For each licence, matches the names of files that contain the text of another licence. */
const OTHER_LICENCES = {
  MIT: /apache|unlicense|bsl|boost|zlib|0bsd|bsd|isc|third/i,
  "Apache-2.0": /mit\b|unlicense|bsl|boost|zlib/i,
};

/** Returns the crates in the binary, as rows of the page. */
export function crateRows(metadata = readMetadata()) {
  return cratesOf(metadata, "jishu-api", [null])
    .map((crate) => ({
      name: crate.name,
      version: crate.version,
      licences: chooseLicences(crate.license ?? UNNAMED_LICENCES[crate.name], ALLOWED_LICENCES),
      folder: dirname(crate.manifest_path),
    }))
    .sort(byNameAndVersion);
}

/** Returns the npm packages that the GraphiQL page is bundled from, as rows of the page. */
export async function packageRows() {
  const lock = JSON.parse(await readFile(join(GRAPHIQL, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && !dev)
    .map(([path, { version, license }]) => ({
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version,
      licences: chooseLicences(license, [...ALLOWED_LICENCES, ...ALLOWED_IN_PAGE]) ?? [`not allowed: ${license}`],
      path,
    }))
    .sort(byNameAndVersion);
}

/** Returns a table of crates or packages, without their texts. */
export const tableOf = (rows) =>
  ["| name | version | licence |", "|---|---|---|"]
    .concat(rows.map(({ name, version, licences }) => `| ${name} | ${version} | ${licences.join(", ")} |`))
    .join("\n");

function byNameAndVersion(left, right) {
  return left.name === right.name
    ? left.version.localeCompare(right.version, "en", { numeric: true })
    : left.name < right.name
      ? -1
      : 1;
}

/** Reads the licence files of a folder. Leaves out files of other licences, unless the folder has no other files. */
async function readTexts(folder, licences) {
  const others = licences.length === 1 ? OTHER_LICENCES[licences[0]] : undefined;
  const files = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name) && !/\.(rs|js|ts|html)$/.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  const taken = files.filter((name) => !others?.test(name));
  const texts = await Promise.all((taken.length > 0 ? taken : files).map((name) => readFile(join(folder, name), "utf8")));
  return texts.map((text) => text.replaceAll("\r", "").trim()).filter((text) => text !== "");
}

/** Separates the lines that name copyright holders from the text that many projects share. */
function split(text) {
  const lines = text.split("\n");
  const notices = lines.filter((line) => /^\s*(copyright\b|\(c\)|©)/i.test(line) && /\d{4}|\(c\)|©|authors|contributors/i.test(line));
  // A long text, such as Apache-2.0, has lines that begin like a notice inside its paragraphs.
  if (notices.length === 0 || lines.length > 100) return { notices: [], body: text };
  return { notices: notices.map((line) => line.trim()), body: lines.filter((line) => !notices.includes(line)).join("\n").trim() };
}

const normal = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, " ").trim();

/** Collects the licence texts. Keeps a text once, with all projects that use it. */
class Texts {
  #texts = new Map();

  add(owner, text) {
    const { notices, body } = split(text);
    const key = normal(body);
    if (!this.#texts.has(key)) this.#texts.set(key, { body, owners: new Map() });
    const { owners } = this.#texts.get(key);
    owners.set(owner, [...new Set([...(owners.get(owner) ?? []), ...notices])]);
  }

  /** Returns the sections of the page: the projects that share a text, then the text. */
  sections() {
    const texts = [...this.#texts.values()].sort((left, right) => right.owners.size - left.owners.size);
    return texts.map(({ body, owners }, index) => {
      const projects = [...owners].map(([owner, notices]) => `- ${owner}${notices.length > 0 ? `: ${notices.map(escaped).join("; ")}` : ""}`);
      return `### Text ${index + 1}\n\n${projects.join("\n")}\n\n\`\`\`\`text\n${body}\n\`\`\`\`\n`;
    });
  }
}

const escaped = (text) => text.replaceAll(/([<>*_[\]])/g, "\\$1");

async function main() {
  const crates = crateRows();
  const packages = await packageRows();
  const texts = new Texts();
  const without = [];
  const read = async (row, folder) => {
    const found = await readTexts(folder, row.licences);
    if (found.length === 0) without.push(row);
    for (const text of found) texts.add(`${row.name} ${row.version}`, text);
  };
  for (const row of crates) await read(row, row.folder);

  const work = await mkdtemp(join(tmpdir(), "jishu-licences-"));
  try {
    for (const file of ["package.json", "package-lock.json"]) await cp(join(GRAPHIQL, file), join(work, file));
    execFileSync("npm", ["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"], { cwd: work, stdio: "inherit" });
    for (const row of packages) await read(row, join(work, row.path));
  } finally {
    await rm(work, { recursive: true });
  }

  const page = `# Third-party licences

This page lists the code of others in the binary \`jishu\`, with the licences under which jishu uses it. A script
writes this page, and a test compares its tables with \`Cargo.lock\` and \`api/graphiql/package-lock.json\`. After a change
of dependencies, run it again:

\`\`\`sh
node tests/clients/dependencies/licences-page.mjs
\`\`\`

If a project offers a choice of licences, the table names the one that jishu takes. The crates are those of a build
for Linux on x86-64. jishu itself has no licence file yet: its owner chooses one.

## Crates

${tableOf(crates)}

## Packages of the GraphiQL page

${tableOf(packages)}

## Projects without a licence file

These projects name their licence in their manifest, and have no file with its text:
${without.map(({ name, version }) => `${name} ${version}`).join(", ")}.

## Texts

Each text stands once. The list above it names the projects that use it, with their copyright notices.

${texts.sections().join("\n")}`;
  await writeFile(PAGE, page);
  console.log(`wrote ${PAGE}: ${crates.length} crates, ${packages.length} packages, ${texts.sections().length} texts`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
