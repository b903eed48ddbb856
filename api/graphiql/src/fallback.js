// The page of a server that was built without the bundle. It loads GraphiQL 3 and React 18 from a CDN: these are the
// last versions that exist as plain scripts. fallback.html pins them by their hashes.

import { start } from "./app.js";

const { React, ReactDOM, GraphiQL } = window;

if (React && ReactDOM && GraphiQL) {
  start({
    React,
    createRoot: ReactDOM.createRoot,
    GraphiQL,
    createFetcher: GraphiQL.createFetcher,
    openWith: (query) => ({ query, variables: "" }),
  });
} else {
  document.getElementById("app").textContent =
    "GraphiQL could not be loaded: this server was built without it, and its copy at cdn.jsdelivr.net is out " +
    "of reach. The API itself is at /graphql.";
}
