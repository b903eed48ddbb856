// What the page remembers: the access token, and what the address's fragment asked for.
// sessionStorage, not localStorage: a token, and the password in the variables of a sign-in, end with the
// browser tab.

const TOKEN = "jishu:accessToken";

/** sessionStorage, or null where the browser refuses it. */
export const storage = (() => {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
})();

/** Reads `#token=…` and `#query=…` and takes them out of the address bar. */
export function takeFragment() {
  const { token, query } = parseFragment();
  if (token !== null || query !== null) {
    history.replaceState(null, "", location.pathname + location.search);
  }
  return { token, query };
}

/** A fragment put into the address of a page that is open already is served by loading the page again. */
export function followFragment() {
  addEventListener("hashchange", () => {
    const { token, query } = parseFragment();
    if (token !== null || query !== null) {
      location.reload();
    }
  });
}

function parseFragment() {
  // URI-encoded, not form-encoded: a plus sign is a plus sign.
  const parameters = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  return { token: parameters.get("token"), query: parameters.get("query") };
}

/** The access token, in the shape that React's useSyncExternalStore takes. */
export function createTokenStore(initial) {
  const listeners = new Set();
  let token = storage?.getItem(TOKEN) ?? "";

  const set = (text) => {
    token = text.trim().replace(/^bearer\s+/i, "");
    if (token) {
      storage?.setItem(TOKEN, token);
    } else {
      storage?.removeItem(TOKEN);
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
  return { get: () => token, set, subscribe };
}

/** When a JWT expires, as a Date; null for anything else. The signature is the server's affair. */
export function expiryOf(token) {
  try {
    const [, claims] = token.split(".");
    const { exp } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
    return Number.isFinite(exp) ? new Date(exp * 1000) : null;
  } catch {
    return null;
  }
}

/** The access token in the answer to a `register`, `login` or `refreshTokens`, whatever its alias. */
export function issuedToken(answer) {
  for (const payload of Object.values(answer?.data ?? {})) {
    const token = payload?.tokens?.accessToken;
    if (typeof token === "string") {
      return token;
    }
  }
  return null;
}
