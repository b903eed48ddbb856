// An issuer of OpenID Connect: the certified `oidc-provider`, whose responses a test can alter.

import { createHmac, createPrivateKey, createSign, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

import Provider from "oidc-provider";

/** The URL to which the issuer sends browsers back. No server listens there: a test reads the redirect. */
export const REDIRECT_URI = "https://academy.example/signed-in";
export const CLIENT_ID = "jishu";
/** A client secret with characters that must be encoded in a header. */
export const CLIENT_SECRET = "a secret: with + and / and %";

/**
 * Starts an issuer.
 * @param {import("node:test").TestContext} t
 * @param {Record<string, object>} accounts the claims of each account, by its subject
 * @param {object} [settings] more settings of oidc-provider
 */
export async function startIssuer(t, accounts, settings = {}) {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close() && server.closeAllConnections());
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const key = newKey("first");
  const provider = new Provider(issuer, {
    clients: [
      {
        ...{ client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: [REDIRECT_URI] },
        ...{ response_types: ["code"], grant_types: ["authorization_code"] },
      },
    ],
    jwks: { keys: [key] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["a key of the test"] },
    pkce: { required: () => true },
    findAccount: (_, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
    ...settings,
  });
  provider.on("server_error", (_, error) => console.error(error));
  const self = new Issuer(issuer, key);
  provider.use(async (ctx, next) => {
    if (self.respond?.(ctx)) return;
    await next();
    if (ctx.path === "/jwks" && ctx.status === 200) ctx.body = { keys: [...ctx.body.keys, ...self.newKeys.map(publicPart)] };
    if (ctx.path === "/token" && ctx.body?.id_token && self.alter) ctx.body.id_token = self.alter(ctx.body.id_token);
  });
  server.on("request", provider.callback());
  return self;
}

class Issuer {
  /** Alters each ID token, if set. */
  alter = null;
  /** Responds to a request instead of the issuer, if set and if it returns true. */
  respond = null;
  /** Keys that the issuer publishes besides its own. */
  newKeys = [];

  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  /** Returns the flags of `jishu serve` for this issuer. */
  get flags() {
    return [
      ...["--oidc-issuer", this.url, "--oidc-client-id", CLIENT_ID],
      ...["--oidc-client-secret", CLIENT_SECRET, "--oidc-redirect-uris", REDIRECT_URI],
    ];
  }

  /** Returns a function that changes the claims of an ID token, and signs it again. */
  claims(change, { key = this.key, header = {} } = {}) {
    return (token) => {
      const [head, body] = token.split(".").map((part) => (part ? tryJson(part) : null));
      return sign({ ...head, kid: key.kid, ...header }, { ...body, ...change }, key);
    };
  }
}

/** Makes an RSA key. */
export function newKey(kid) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" };
}

function publicPart({ kty, n, e, kid, alg, use }) {
  return { kty, n, e, kid, alg, use };
}

function tryJson(part) {
  try {
    return JSON.parse(Buffer.from(part, "base64url"));
  } catch {
    return null;
  }
}

function sign(header, claims, key) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${encode(header)}.${encode(claims)}`;
  if (header.alg === "none") return `${text}.`;
  if (header.alg === "HS256") return `${text}.${createHmac("sha256", CLIENT_SECRET).update(text).digest("base64url")}`;
  const signer = createSign("sha256").update(text);
  return `${text}.${signer.sign(createPrivateKey({ key, format: "jwk" })).toString("base64url")}`;
}

/** Follows the pages of the issuer as a browser does, signs in as `account`, and returns the parameters of the return. */
export async function visit(address, account) {
  const cookies = new Map();
  let [url, form] = [new URL(address), null];
  for (let pages = 0; pages < 20; pages += 1) {
    const response = await fetch(url, {
      method: form ? "POST" : "GET",
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      body: form,
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    form = null;
    if (response.status >= 300 && response.status < 400) {
      url = new URL(response.headers.get("location"), url);
      if (url.href.startsWith(REDIRECT_URI)) return Object.fromEntries(url.searchParams);
      continue;
    }
    const html = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(html)?.[1];
    if (!action) throw new Error(`no form at ${url} (${response.status}): ${html}`);
    const prompt = /name="prompt" value="(\w+)"/.exec(html)[1];
    form = new URLSearchParams(prompt === "login" ? { prompt, login: account, password: "x" } : { prompt });
    url = new URL(action.replaceAll("&amp;", "&"), url);
  }
  throw new Error("the issuer asks for too many pages");
}
