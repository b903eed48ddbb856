// The page: a bar with the access token, and GraphiQL below it.
//
// React and GraphiQL are passed in, because the bundled page and the fallback page use different versions of both.

import { defaultTabs } from "./queries.js";
import {
  createTokenStore,
  expiryOf,
  followFragment,
  issuedToken,
  readClaims,
  storage,
  takeFragment,
} from "./session.js";

/** Draws the page into `#app`. `children` are put inside GraphiQL. */
export function start({ React, createRoot, GraphiQL, createFetcher, openWith, children = [] }) {
  const { createElement: h, useEffect, useState, useSyncExternalStore } = React;
  const fragment = takeFragment();
  const store = createTokenStore(fragment.token);
  followFragment();

  const fetcher = withIssuedToken(withHandledFailure(createFetcher(fetcherOptions(store))), store);
  const ofRole = defaultTabs(readClaims(store.token())?.role);
  const tabs = fragment.query === null ? ofRole : [{ query: fragment.query }, ...ofRole];

  function TokenBar() {
    const text = useSyncExternalStore(store.subscribe, store.text);
    const claims = readClaims(text);
    return h(
      "header",
      { className: "token-bar" },
      h("a", { className: "skip-link", href: "#graphiql-session", onClick: focusEditor }, "Skip to the editor"),
      h("h1", null, "jishu"),
      h("label", { htmlFor: "access-token" }, "Access token"),
      h("input", {
        id: "access-token",
        type: "text",
        value: text,
        onChange: (event) => store.set(event.target.value),
        placeholder: "Empty: requests are anonymous",
        autoComplete: "off",
        autoCapitalize: "off",
        spellCheck: false,
        "aria-describedby": "access-token-state",
        "aria-invalid": text !== "" && claims === null,
      }),
      h("button", { type: "button", disabled: !text, onClick: () => store.set("") }, "Clear"),
      h(TokenState, { text, claims }),
    );
  }

  function TokenState({ text, claims }) {
    const expiry = expiryOf(claims);
    const remaining = expiry ? expiry.getTime() - Date.now() : null;
    const [, redraw] = useState(0);
    useEffect(() => {
      if (remaining === null || remaining <= 0) {
        return undefined;
      }
      // setTimeout fires at once if the delay exceeds 2^31 - 1 ms.
      const timer = setTimeout(() => redraw((count) => count + 1), Math.min(remaining + 500, 2 ** 31 - 1));
      return () => clearTimeout(timer);
    });

    const [className, sentence] = describeToken(text, claims, expiry, remaining);
    return h("p", { id: "access-token-state", role: "status", className }, sentence);
  }

  createRoot(document.getElementById("app")).render(
    h(
      React.Fragment,
      null,
      h(TokenBar),
      h(
        "main",
        null,
        h(
          GraphiQL,
          {
            fetcher,
            storage,
            defaultTabs: tabs,
            // The tabs have no variables, so the editor of variables is closed and leaves its room to the query.
            defaultEditorToolsVisibility: false,
            ...(fragment.query === null ? {} : openWith(fragment.query)),
          },
          ...children.map((component) => h(component)),
        ),
      ),
    ),
  );
}

/** Returns the class and the sentence below the token field. */
function describeToken(text, claims, expiry, remaining) {
  if (text === "") {
    return ["", "Sign in with the SignIn tab, or paste a token."];
  }
  if (claims === null) {
    return ["wrong", "This is not an access token, so it is not sent. Sign in with the SignIn tab."];
  }
  if (expiry === null) {
    return ["", "Sent with every request."];
  }
  const time = expiry.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return remaining > 0
    ? ["", `Sent with every request until ${time}.`]
    : ["wrong", `Expired at ${time}. Sign in again with the SignIn tab.`];
}

/** Moves the keyboard focus into the editor of the query. */
function focusEditor(event) {
  event.preventDefault();
  document.querySelector(".graphiql-query-editor textarea")?.focus();
}

/** Returns the fetcher's options. The endpoint is relative to the page, so that both work below a path prefix. */
function fetcherOptions(store) {
  const endpoint = new URL("graphql", location.href);
  endpoint.hash = "";
  endpoint.search = "";
  const socket = new URL(endpoint);
  socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";
  return {
    url: endpoint.href,
    // Each subscription opens a connection of its own, and closes the connection at its end.
    subscriptionUrl: socket.href,
    // This is a getter, so that each subscription sends the token that the field holds when the subscription starts.
    get wsConnectionParams() {
      return store.token() ? { Authorization: `Bearer ${store.token()}` } : {};
    },
    // The server supports neither @defer nor @stream.
    enableIncrementalDelivery: false,
    // A header `Authorization` from GraphiQL's headers editor takes precedence over the token field.
    fetch(url, init) {
      const headers = new Headers(init.headers);
      if (store.token() && !headers.has("authorization")) {
        headers.set("authorization", `Bearer ${store.token()}`);
      }
      return fetch(url, { ...init, headers });
    },
  };
}

/**
 * Handles the failure of a subscription, such as one with an empty id.
 *
 * The toolkit of GraphiQL reports the failure with `iterator.throw(error)` and ignores the promise that this returns.
 * GraphiQL shows the error, because its loop over the iterator ends with it. But the browser also reports the ignored
 * promise as an uncaught error.
 */
function withHandledFailure(fetcher) {
  return async (parameters, options) => {
    const response = await fetcher(parameters, options);
    if (typeof response?.throw === "function") {
      const fail = response.throw.bind(response);
      response.throw = (error) => {
        const ended = fail(error);
        ended.catch(() => {});
        return ended;
      };
    }
    return response;
  };
}

/** Puts the access token of a response into the field, so that a person who signs in with a tab is signed in. */
function withIssuedToken(fetcher, store) {
  return async (parameters, options) => {
    const response = await fetcher(parameters, options);
    const issued = issuedToken(response);
    if (issued !== null) {
      store.set(issued);
    }
    return response;
  };
}
