// Runs relay-compiler on a copy of the documents, because the files that it writes do not belong into the repository.

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { root } from "./server.mjs";

const require = createRequire(import.meta.url);

/**
 * Compiles the documents of a source file against schema.graphql, and fails with what the compiler says.
 * @param {{ persist?: boolean }} [options] whether artifacts have the ids of their documents instead of the texts
 * @returns {Promise<{ artifacts: Record<string, object>, manifest?: string }>} the artifacts by the names of their
 *   operations and fragments, and the manifest of the documents by their ids
 */
export async function compileRelay(source, { persist = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "jishu-relay-"));
  try {
    await mkdir(join(folder, "src"));
    await mkdir(join(folder, "artifacts"));
    await cp(source, join(folder, "src", basename(source)));
    await cp(join(root, "schema.graphql"), join(folder, "schema.graphql"));
    await writeFile(join(folder, "relay.config.json"), JSON.stringify(persist ? { ...config, persistConfig } : config));
    // relay-compiler adds to a manifest that exists, but does not create a manifest. So an empty manifest is written
    // first.
    if (persist) await writeFile(join(folder, persistConfig.file), "{}");
    // The script `cli.js` of the package `relay-compiler` finds and runs the compiler's binary for this machine.
    const compiler = require.resolve("relay-compiler/cli.js");
    await promisify(execFile)(process.execPath, [compiler, "relay.config.json"], { cwd: folder }).catch(
      ({ stderr }) => Promise.reject(new Error(stderr)),
    );
    const files = await readdir(join(folder, "artifacts"));
    const artifacts = files.map((file) => [basename(file, ".graphql.js"), require(join(folder, "artifacts", file))]);
    return {
      artifacts: Object.fromEntries(artifacts),
      manifest: persist ? await readFile(join(folder, persistConfig.file), "utf8") : undefined,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const config = {
  src: "src",
  schema: "schema.graphql",
  artifactDirectory: "artifacts",
  language: "javascript",
  eagerEsModules: false,
  customScalarTypes: { DateTime: "string", Decimal: "string", UUID: "string" },
};

const persistConfig = { file: "manifest.json", algorithm: "SHA256" };
