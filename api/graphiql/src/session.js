// The page's memory: the access token, and the requests in the fragment of the page's address.
//
// The memory is sessionStorage, not localStorage. So the token, and a password typed into a GraphiQL tab, are gone when
// the browser tab closes.

const TOKEN_KEY = "jishu:accessToken";

/** The browser's sessionStorage, or null if the browser denies access to it. */
export const storage = (() => {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
})();

/** Reads `#token=…` and `#query=…`, and removes them from the address bar. */
export function takeFragment() {
  const { token, query } = parseFragment();
  if (token !== null || query !== null) {
    history.replaceState(null, "", location.pathname + location.search);
  }
  return { token, query };
}

/** Reloads the page when a token or a query is put into the address of the open page. */
export function followFragment() {
  addEventListener("hashchange", () => {
    const { token, query } = parseFragment();
    if (token !== null || query !== null) {
      location.reload();
    }
  });
}

function parseFragment() {
  // The fragment is URI-encoded, not form-encoded: a plus sign stays a plus sign.
  const parameters = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  return { token: parameters.get("token"), query: parameters.get("query") };
}

/**
 * Creates a store for the text of the token field, with `subscribe` for React's useSyncExternalStore.
 *
 * `text` is what the field shows. `token` is the same text if it is an access token, and empty otherwise. Only a token
 * is sent and remembered: any other text may be a password that was pasted into the wrong field.
 */
export function createTokenStore(initial) {
  const listeners = new Set();
  let text = storage?.getItem(TOKEN_KEY) ?? "";

  const token = () => (readClaims(text) === null ? "" : text);
  const set = (value) => {
    const stripped = value.trim().replace(/^bearer\s+/i, "");
    // A text that is not a token stays as it was typed. If the store removed the space after `Bearer`, nobody could type
    // a token after it.
    text = readClaims(stripped) === null ? value : stripped;
    if (token()) {
      storage?.setItem(TOKEN_KEY, text);
    } else {
      storage?.removeItem(TOKEN_KEY);
    }
    for (const listener of listeners) {
      listener();
    }
  };
  const subscribe = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  if (initial !== null) {
    set(initial);
  }
  return { text: () => text, token, set, subscribe };
}

/** Returns the claims of an access token (a signed JWT), or null for any other text. The server checks the signature. */
export function readClaims(text) {
  const parts = text.split(".");
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) {
    return null;
  }
  try {
    const [header, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/"))));
    return typeof header?.alg === "string" && typeof claims === "object" ? claims : null;
  } catch {
    return null;
  }
}

/** Returns the time at which these claims expire, or null if they name none. */
export function expiryOf(claims) {
  return Number.isFinite(claims?.exp) ? new Date(claims.exp * 1000) : null;
}

/** Returns the access token in the response to `register`, `login` or `refreshTokens`, also under an alias. */
export function issuedToken(response) {
  for (const payload of Object.values(response?.data ?? {})) {
    const token = payload?.tokens?.accessToken;
    if (typeof token === "string") {
      return token;
    }
  }
  return null;
}
