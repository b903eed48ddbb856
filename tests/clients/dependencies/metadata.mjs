// The crates of the workspace, as `cargo metadata` lists them. This command compiles nothing.

import { execFileSync } from "node:child_process";

import { root } from "../support/server.mjs";

/** The platform whose crates are listed, so that the lists are the same on every machine. */
const PLATFORM = "x86_64-unknown-linux-gnu";

/** Reads the crates that Cargo.lock names for the platform. Downloads the crates that are missing. */
export function readMetadata() {
  const output = execFileSync(
    process.env.CARGO ?? "cargo",
    ["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM],
    { cwd: root, maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" },
  );
  return JSON.parse(output);
}

/** Returns the third-party crates: those whose `source` names a registry. */
export const thirdParty = (metadata) => metadata.packages.filter((crate) => crate.source !== null);

/**
 * Returns the third-party crates that a crate of the workspace needs, directly or through other crates.
 * @param {string} name the crate of the workspace
 * @param {(string | null)[]} kinds the kinds of dependencies to follow: null is a normal dependency, `"build"` is one
 *   of a build script
 */
export function cratesOf(metadata, name, kinds) {
  const crates = new Map(metadata.packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const found = new Set();
  const waiting = [metadata.packages.find((crate) => crate.source === null && crate.name === name).id];
  while (waiting.length > 0) {
    const id = waiting.pop();
    if (found.has(id)) continue;
    found.add(id);
    for (const dependency of nodes.get(id).deps) {
      if (dependency.dep_kinds.some(({ kind }) => kinds.includes(kind))) waiting.push(dependency.pkg);
    }
  }
  return thirdParty({ packages: [...found].map((id) => crates.get(id)) });
}

/** Returns the names of the crates that depend on a crate directly. */
export function dependentsOf(metadata, crate) {
  const names = new Map(metadata.packages.map(({ id, name, version }) => [id, `${name} ${version}`]));
  return metadata.resolve.nodes
    .filter((node) => node.dependencies.includes(crate.id))
    .map((node) => names.get(node.id))
    .sort();
}
