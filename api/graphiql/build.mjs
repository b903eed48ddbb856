// Bundles the page into dist/. Each file is compressed with gzip, and manifest.tsv lists the files.
//
//     npm ci --ignore-scripts && npm run build
//
// api/build.rs runs both commands, in a copy of this folder below the target folder.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const OUT = "dist";
const CONTENT_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
};

const options = {
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  outdir: OUT,
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  // licenses.txt contains all licences.
  legalComments: "none",
  target: "es2022",
  logLevel: "warning",
};

const workers = await build({
  ...options,
  format: "iife",
  entryPoints: [
    { out: "editor", in: "monaco-editor/esm/vs/editor/editor.worker.js" },
    { out: "graphql", in: "monaco-graphql/esm/graphql.worker.js" },
    { out: "json", in: "monaco-editor/esm/vs/language/json/json.worker.js" },
  ],
});
const workerNames = workers.outputFiles.map((file) => basename(file.path));
const worker = (name) => workerNames.find((file) => file.startsWith(`${name}-`));

const page = await build({
  ...options,
  format: "esm",
  splitting: true,
  entryPoints: [{ out: "main", in: "src/main.js" }],
  define: {
    WORKERS: JSON.stringify({ editor: worker("editor"), graphql: worker("graphql"), json: worker("json") }),
  },
  // GraphiQL imports two parts of prettier by names that lead to CommonJS files. A split bundle cannot load CommonJS.
  alias: {
    "prettier/parser-babel": "prettier/plugins/babel",
    "prettier/parser-graphql": "prettier/plugins/graphql",
  },
  plugins: [
    {
      // graphiql/style.css contains the editor's styles. The editor itself would add them a second time.
      name: "without-editor-styles",
      setup({ onLoad }) {
        onLoad({ filter: /monaco-editor[\\/].*\.css$/ }, () => ({ contents: "", loader: "css" }));
      },
    },
  ],
});

/** Returns the licence texts of all packages in the bundle: most licences require that the text is distributed. */
function licenses(...metafiles) {
  const packages = new Set();
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
      if (match) {
        packages.add(match[1]);
      }
    }
  }
  return [...packages]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const texts = readdirSync(folder)
        .filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file))
        .map((file) => readFileSync(join(folder, file), "utf8").trim());
      return [`${name} ${version} (${license})`, ...texts].join("\n\n");
    })
    .join(`\n\n${"-".repeat(80)}\n\n`);
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT);
const manifest = [];

/** Writes one compressed file, and adds it to the manifest. */
function emit(name, contents) {
  const hash = createHash("sha256").update(contents).digest("hex");
  writeFileSync(join(OUT, `${name}.gz`), gzipSync(contents, { level: 9 }));
  manifest.push([name, CONTENT_TYPES[extname(name)], hash].join("\t"));
}

const licenseText = licenses(workers.metafile, page.metafile);
const licenseName = `licenses-${createHash("sha256").update(licenseText).digest("hex").slice(0, 8)}.txt`;
for (const file of [...workers.outputFiles, ...page.outputFiles]) {
  // The page loads only the styles of main.js, so the bundle leaves out all other styles.
  if (extname(file.path) !== ".css" || basename(file.path).startsWith("main-")) {
    emit(basename(file.path), file.contents);
  }
}
emit(licenseName, licenseText);

const main = (extension) =>
  page.outputFiles.map((file) => basename(file.path)).find((name) => name.startsWith("main-") && name.endsWith(extension));
const names = { "main.js": main(".js"), "main.css": main(".css"), "licenses.txt": licenseName };
emit(
  "index.html",
  readFileSync("src/page.html", "utf8").replace(/\{\{(.+?)\}\}/g, (_, name) => names[name]),
);
writeFileSync(join(OUT, "manifest.tsv"), `${manifest.join("\n")}\n`);
