// The bundled page: GraphiQL 5. The server also serves the workers of its editor.

import "graphiql/style.css";
import "./page.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import * as React from "react";
import { createRoot } from "react-dom/client";

import { EditorOptions, OpenTabInView, raiseContrast, ResponseInView } from "./adjustments.js";
import { start } from "./app.js";

// build.mjs replaces WORKERS by the names of the workers' files, which are beside this one.
globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url)),
};

await raiseContrast();

start({
  React,
  createRoot,
  GraphiQL,
  createFetcher: createGraphiQLFetcher,
  // GraphiQL would otherwise take over the variables of the last tab.
  openWith: (query) => ({ initialQuery: query, initialVariables: "" }),
  children: [EditorOptions, ResponseInView, OpenTabInView],
});
