// Checks the accessibility of the GraphiQL page with axe: on a desktop in light colours, and on a phone in dark
// colours.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

import { startBrowser } from "../support/browser.mjs";
import { startServer } from "../support/server.mjs";

/** The rules that GraphiQL's own components break and that this page cannot fix, with the elements that break them. */
const ACCEPTED = {
  // GraphiQL draws a tab as `<li role="tab">` around two buttons: one opens the tab and one closes it.
  "nested-interactive": /^<li [^>]*class="graphiql-tab[ "]/,
  // GraphiQL labels an entry of the history "Set active". That label hides the name of the operation.
  "label-content-name-mismatch": /^<button [^>]*class="[^"]*graphiql-history-item-label"/,
};

const SCREENS = [
  [1440, 900, "light"],
  [390, 844, "dark"],
];

/**
 * The states of the page: a name, the script that leads there from the state before, and an expression that is then
 * true.
 */
const STATES = [
  ["a first visit", "", "document.querySelector('#access-token').value === ''"],
  [
    "a response",
    "document.querySelector('.graphiql-execute-button').click()",
    "document.querySelector('.graphiql-response').textContent.includes('courses')",
  ],
  [
    "the documentation",
    "document.querySelector('[aria-label=\"Show Documentation Explorer\"]').click()",
    "document.querySelector('.graphiql-doc-explorer-type-name')",
  ],
  [
    "the documentation of a type",
    "document.querySelector('.graphiql-doc-explorer-type-name').click()",
    "document.querySelector('.graphiql-doc-explorer-field-name')",
  ],
  [
    "the history",
    "document.querySelector('[aria-label=\"Show History\"]').click()",
    "document.querySelector('.graphiql-history-header')",
  ],
  [
    "the variables",
    `document.querySelector('[aria-label="Hide History"]').click();
     document.querySelector('[data-name=variables]').click()`,
    "document.querySelector('[data-name=variables].active')",
  ],
  [
    "the settings",
    "document.querySelector('[aria-label=\"Open settings dialog\"]').click()",
    "document.querySelector('.graphiql-dialog-section')",
  ],
];

test("axe finds only faults of GraphiQL's own components in the GraphiQL page", async (t) => {
  const browser = await startBrowser(t);
  if (browser === null) return;
  const server = await startServer(t);
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

  const check = async (state) => {
    await browser.script(axe);
    const { violations } = await browser.script(
      "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => ({ violations }))",
    );
    const found = violations.flatMap(({ id, nodes }) =>
      nodes
        .filter(({ html }) => !ACCEPTED[id]?.test(html))
        .map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
    );
    assert.deepEqual(found, [], state);
  };
  const open = async (fragment) => {
    // Opens another page first, because a new fragment alone would not reload the page.
    await browser.goto("about:blank");
    await browser.goto(`${server.origin}/${fragment}`);
    await browser.until("document.querySelector('.graphiql-query-editor .view-line')?.textContent");
  };

  for (const [width, height, theme] of SCREENS) {
    const name = `${width} pixels, ${theme}`;
    await browser.screen(width, height, theme);
    await open("");
    for (const [state, action, reached] of STATES) {
      await browser.script(action);
      await browser.until(reached);
      await check(`${name}: ${state}`);
    }
    await open("#token=password");
    await browser.until("document.querySelector('#access-token[aria-invalid=true]')");
    await check(`${name}: text that is no token`);
    await browser.script("sessionStorage.clear()");
  }
});
