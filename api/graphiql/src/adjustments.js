// Adjusts GraphiQL 5: its editors and panes on small screens, and the contrast of its colours.

import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";

/** The width up to which page.css draws the page for a phone. */
const PHONE = "(max-width: 599px)";

/** Wraps long lines in the query editor, and gives the text more room on a phone. */
export function EditorOptions() {
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const headerEditor = useGraphiQL((state) => state.headerEditor);
  const responseEditor = useGraphiQL((state) => state.responseEditor);
  useEffect(() => {
    const phone = matchMedia(PHONE);
    const apply = () => {
      const fontSize = phone.matches ? 13 : 15;
      const margin = phone.matches ? { lineNumbers: "off", folding: false } : { lineNumbers: "on", folding: true };
      for (const editor of [queryEditor, variableEditor, headerEditor]) {
        editor?.updateOptions({ wordWrap: "on", fontSize, ...margin });
      }
      responseEditor?.updateOptions({ fontSize });
    };
    apply();
    phone.addEventListener("change", apply);
    return () => phone.removeEventListener("change", apply);
  }, [queryEditor, variableEditor, headerEditor, responseEditor]);
  return null;
}

/** Scrolls the response into view when a request is sent. Does nothing if the whole response pane is visible. */
export function ResponseInView() {
  const isFetching = useGraphiQL((state) => state.isFetching);
  useEffect(() => {
    if (isFetching) {
      document.querySelector(".graphiql-response")?.scrollIntoView({ block: "nearest" });
    }
  }, [isFetching]);
  return null;
}

/** Scrolls the open tab into view: on a phone the tabs are one row that scrolls. */
export function OpenTabInView() {
  const activeTabIndex = useGraphiQL((state) => state.activeTabIndex);
  useEffect(() => {
    document.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [activeTabIndex]);
  return null;
}

/** Colours for text that has too little contrast in GraphiQL's themes. */
const LEGIBLE = {
  "vs-dark": {
    rules: [{ token: "comment", foreground: "#7fb069" }],
    colors: { "editorLineNumber.foreground": "#9aa5b8" },
  },
  vs: {
    rules: [{ token: "number", foreground: "#076b47" }],
    colors: {},
  },
};

/**
 * Raises the contrast of GraphiQL's themes.
 *
 * GraphiQL defines its themes when it has loaded the editor. So this must end before GraphiQL is drawn: it changes the
 * editor's `defineTheme`.
 */
export async function raiseContrast() {
  const { editor } = await import("monaco-graphql/esm/monaco-editor.js");
  const { defineTheme } = editor;
  editor.defineTheme = (name, theme) => {
    const { rules = [], colors = {} } = LEGIBLE[theme.base] ?? {};
    defineTheme(name, {
      ...theme,
      rules: [...theme.rules, ...rules],
      colors: { ...theme.colors, ...colors },
    });
  };
}
