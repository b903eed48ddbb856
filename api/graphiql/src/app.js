// The page: a bar with the access token, and GraphiQL below it. React and GraphiQL are passed in, so that the
// bundled page and the fallback page, which has other releases of both, run the same code.

import { defaultTabs } from "./queries.js";
import { createTokenStore, expiryOf, followFragment, issuedToken, storage, takeFragment } from "./session.js";

/** Draws the page into `#app`. */
export function start({ React, createRoot, GraphiQL, createFetcher, openWith }) {
  const { createElement: h, useEffect, useState, useSyncExternalStore } = React;
  const fragment = takeFragment();
  const token = createTokenStore(fragment.token);
  followFragment();

  const fetcher = withIssuedToken(createFetcher(fetcherOptions(token)), token);
  const tabs = fragment.query === null ? defaultTabs : [{ query: fragment.query }, ...defaultTabs];

  function TokenBar() {
    const value = useSyncExternalStore(token.subscribe, token.get);
    return h(
      "header",
      { className: "token-bar" },
      h("h1", null, "jishu"),
      h("label", { htmlFor: "access-token" }, "Access token"),
      h("input", {
        id: "access-token",
        type: "text",
        value,
        onChange: (event) => token.set(event.target.value),
        placeholder: "none: requests are anonymous",
        autoComplete: "off",
        autoCapitalize: "off",
        spellCheck: false,
        "aria-describedby": "access-token-state",
      }),
      h("button", { type: "button", disabled: !value, onClick: () => token.set("") }, "Clear"),
      h(TokenState, { value }),
    );
  }

  function TokenState({ value }) {
    const expiry = value ? expiryOf(value) : null;
    const remaining = expiry ? expiry.getTime() - Date.now() : null;
    const [, redraw] = useState(0);
    useEffect(() => {
      if (remaining === null || remaining <= 0) {
        return undefined;
      }
      // A longer delay than 2^31 - 1 ms would fire at once.
      const timer = setTimeout(() => redraw((count) => count + 1), Math.min(remaining + 500, 2 ** 31 - 1));
      return () => clearTimeout(timer);
    });

    let text = "Run the SignIn tab, or paste a token.";
    if (remaining !== null) {
      const time = expiry.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      text = remaining > 0 ? `Sent with every request until ${time}.` : `Expired at ${time}: sign in again.`;
    } else if (value) {
      text = "Sent with every request.";
    }
    const className = remaining !== null && remaining <= 0 ? "expired" : undefined;
    return h("p", { id: "access-token-state", role: "status", className }, text);
  }

  createRoot(document.getElementById("app")).render(
    h(
      React.Fragment,
      null,
      h(TokenBar),
      h(
        "main",
        null,
        h(GraphiQL, {
          fetcher,
          storage,
          defaultTabs: tabs,
          // The tabs have no variables, and the query deserves the room.
          defaultEditorToolsVisibility: false,
          ...(fragment.query === null ? {} : openWith(fragment.query)),
        }),
      ),
    ),
  );
}

/** The endpoint is relative to the page, so that both may stand below a prefix. */
function fetcherOptions(token) {
  const endpoint = new URL("graphql", location.href);
  endpoint.hash = "";
  endpoint.search = "";
  const socket = new URL(endpoint);
  socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";
  return {
    url: endpoint.href,
    // Connected by the first subscription, and closed with the last.
    subscriptionUrl: socket.href,
    // Read at each subscription: the token of that moment.
    get wsConnectionParams() {
      return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
    },
    // The engine has neither @defer nor @stream.
    enableIncrementalDelivery: false,
    // The headers editor goes before the field.
    fetch(url, init) {
      const headers = new Headers(init.headers);
      if (token.get() && !headers.has("authorization")) {
        headers.set("authorization", `Bearer ${token.get()}`);
      }
      return fetch(url, { ...init, headers });
    },
  };
}

/** Whoever signs in here is signed in: the token of the answer goes into the field. */
function withIssuedToken(fetcher, token) {
  return async (parameters, options) => {
    const answer = await fetcher(parameters, options);
    const issued = issuedToken(answer);
    if (issued !== null) {
      token.set(issued);
    }
    return answer;
  };
}
