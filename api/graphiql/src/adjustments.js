// Adjusts GraphiQL 5: its editors and panes on small screens, and the colours of its dark theme.

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

/**
 * Lightens the comments and the line numbers of GraphiQL's dark theme, which have too little contrast.
 *
 * GraphiQL defines its theme when it has loaded the editor. This must be called before GraphiQL is drawn, so that it
 * changes the editor's `defineTheme` first.
 */
export async function lightenDarkTheme() {
  const { editor } = await import("monaco-graphql/esm/monaco-editor.js");
  const { defineTheme } = editor;
  editor.defineTheme = (name, theme) => {
    if (theme.base === "vs-dark") {
      const rules = [...theme.rules, { token: "comment", foreground: "#7fb069" }];
      const colors = { ...theme.colors, "editorLineNumber.foreground": "#9aa5b8" };
      return defineTheme(name, { ...theme, rules, colors });
    }
    return defineTheme(name, theme);
  };
}
