// The bundled page: GraphiQL 5, with the editor's workers served from the same origin.

import "graphiql/style.css";
import "./page.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import * as React from "react";
import { createRoot } from "react-dom/client";

import { start } from "./app.js";

// WORKERS is put in by build.mjs: the name of each worker's file, beside this one.
globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url)),
};

start({
  React,
  createRoot,
  GraphiQL,
  createFetcher: createGraphiQLFetcher,
  // Without the empty variables, those of the last tab would come along.
  openWith: (query) => ({ initialQuery: query, initialVariables: "" }),
});
