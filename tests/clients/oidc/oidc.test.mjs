// Signs in with OpenID Connect at a real issuer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { REDIRECT_URI, newKey, startIssuer, visit } from "../support/issuer.mjs";
import { password, startServer } from "../support/server.mjs";

const ACCOUNTS = {
  asha: { email: "Asha@Example.com", email_verified: true, name: "Asha Rao" },
  binod: { email: "binod@example.com", email_verified: false, name: "Binod" },
  learner: { email: "learner@example.com", email_verified: true },
  victim: { email: "victim@example.com", email_verified: true },
  elsewhere: { email: "elsewhere@example.org", email_verified: true },
  nameless: {},
};

const LOGIN = `mutation ($input: CompleteOidcLoginInput!) { completeOidcLogin(input: $input) {
  user { name email emailVerified role } tokens { accessToken refreshToken } secondFactor { challenge } userErrors { code message } } }`;
const LINK = `mutation ($input: CompleteOidcLoginInput!) { linkOidcIdentity(input: $input) {
  identities { id issuer } userErrors { code } } }`;
const UNLINK = "mutation ($id: ID!) { unlinkOidcIdentity(id: $id) { identities { id } userErrors { code path } } }";

async function begin(server, redirectUri = REDIRECT_URI) {
  const { beginOidcLogin } = await server.data(
    `mutation ($redirectUri: String!) { beginOidcLogin(redirectUri: $redirectUri) {
      authorizationUrl browserKey userErrors { code path } } }`,
    { redirectUri },
  );
  return beginOidcLogin;
}

/** Signs in at the issuer as `account`, and returns the input of `completeOidcLogin`. */
async function goAndReturn({ authorizationUrl, browserKey, userErrors }, account) {
  assert.deepEqual(userErrors, []);
  const { code, state } = await visit(authorizationUrl, account);
  return { code, state, browserKey };
}

async function complete(server, input) {
  return (await server.data(LOGIN, { input })).completeOidcLogin;
}

async function signIn(server, account) {
  return complete(server, await goAndReturn(await begin(server), account));
}

function codeOf({ tokens, userErrors }) {
  assert.equal(tokens, null);
  return userErrors[0].code;
}

async function passwordLogin(server, email, secret) {
  const document = `mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } userErrors { code } } }`;
  return (await server.data(document, { input: { email, password: secret } })).login;
}

async function beginLink(server, token, secret) {
  const { beginOidcLink } = await server.data(
    `mutation ($redirectUri: String!, $password: String) { beginOidcLink(redirectUri: $redirectUri, password: $password) {
      authorizationUrl browserKey userErrors { code path } } }`,
    { redirectUri: REDIRECT_URI, password: secret },
    token,
  );
  return beginOidcLink;
}

test("a first sign-in makes an account, and later ones find it", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const first = await signIn(server, "asha");
  const asha = { name: "Asha Rao", email: "asha@example.com", emailVerified: true, role: "LEARNER" };
  assert.deepEqual([first.user, first.userErrors], [asha, []]);
  const { viewer } = await server.data("{ viewer { email linkedIdentities { issuer } } }", {}, first.tokens.accessToken);
  assert.deepEqual(viewer, { email: "asha@example.com", linkedIdentities: [{ issuer: issuer.url }] });
  assert.deepEqual((await signIn(server, "asha")).user, asha);
  // The server finds the account by the identity, and not by the e-mail address, which has changed.
  ACCOUNTS.asha.email = "rao@example.com";
  t.after(() => (ACCOUNTS.asha.email = "Asha@Example.com"));
  assert.deepEqual((await signIn(server, "asha")).user, asha);
  // Three first sign-ins of one identity at once make one account.
  const begun = await Promise.all([begin(server), begin(server), begin(server)]);
  const returned = await Promise.all(begun.map((one) => goAndReturn(one, "elsewhere")));
  const all = await Promise.all(returned.map((input) => complete(server, input)));
  assert.deepEqual(all.map(({ user }) => user?.name), ["elsewhere", "elsewhere", "elsewhere"]);
});

test("a sign-in works once, in the browser that began it, at an allowed address", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const input = await goAndReturn(await begin(server), "asha");
  const other = await begin(server);
  // A wrong browser key or a wrong state is refused, and does not use up the sign-in.
  for (const wrong of [{ browserKey: other.browserKey }, { browserKey: "x" }, { state: "x" }, { state: other.browserKey }]) {
    assert.equal(codeOf(await complete(server, { ...input, ...wrong })), "OIDC_LOGIN_INVALID");
  }
  const answers = await Promise.all([1, 2, 3, 4].map(() => complete(server, input)));
  assert.equal(answers.filter(({ tokens }) => tokens !== null).length, 1);
  assert.equal(codeOf(await complete(server, input)), "OIDC_LOGIN_INVALID");
  // A code of the issuer that was used cannot complete another sign-in.
  const state = new URL(other.authorizationUrl).searchParams.get("state");
  const replayed = { code: input.code, state, browserKey: other.browserKey };
  assert.equal(codeOf(await complete(server, replayed)), "OIDC_LOGIN_INVALID");
  for (const address of ["https://evil.example/signed-in", `${REDIRECT_URI}/`, `${REDIRECT_URI}?x=1`, ""]) {
    const refused = await begin(server, address);
    assert.deepEqual(refused.userErrors, [{ code: "REDIRECT_NOT_ALLOWED", path: ["redirectUri"] }]);
  }
});

test("an ID token that does not verify signs nobody in", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const now = Math.floor(Date.now() / 1000);
  for (const [name, alter] of Object.entries({
    nonce: issuer.claims({ nonce: "another" }),
    "no nonce": issuer.claims({ nonce: undefined }),
    audience: issuer.claims({ aud: "another" }),
    "two audiences": issuer.claims({ aud: ["jishu", "another"], azp: "jishu" }),
    "authorized party": issuer.claims({ azp: "another" }),
    issuer: issuer.claims({ iss: "https://evil.example" }),
    "no issuer": issuer.claims({ iss: undefined }),
    expired: issuer.claims({ iat: now - 700, exp: now - 100 }),
    future: issuer.claims({ iat: now + 100, exp: now + 700 }),
    "no subject": issuer.claims({ sub: "" }),
    "unknown key": issuer.claims({}, { key: newKey("made up") }),
    "other key": issuer.claims({}, { key: { ...newKey("x"), kid: issuer.key.kid } }),
    unsigned: issuer.claims({}, { header: { alg: "none" } }),
    "client secret": issuer.claims({}, { header: { alg: "HS256" } }),
    "not a token": () => "x",
  })) {
    issuer.alter = alter;
    assert.equal(codeOf(await signIn(server, "asha")), "OIDC_LOGIN_INVALID", name);
  }
  issuer.alter = null;
  assert.equal((await signIn(server, "asha")).user.name, "Asha Rao");
  // The issuer publishes a new key, and signs with it.
  const key = newKey("second");
  const rotated = await startServer(t, { args: issuer.flags });
  assert.equal((await signIn(rotated, "asha")).user.name, "Asha Rao");
  issuer.newKeys = [key];
  issuer.alter = issuer.claims({}, { key });
  assert.equal((await signIn(rotated, "asha")).user.name, "Asha Rao");
});

test("wrong responses of the issuer make the sign-in unavailable", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS, { conformIdTokenClaims: false });
  const server = await startServer(t, { args: issuer.flags });
  for (const respond of [
    (ctx) => ctx.path.startsWith("/.well-known") && (ctx.body = { issuer: "https://evil.example" }),
    (ctx) => ctx.path.startsWith("/.well-known") && (ctx.body = "x".repeat(300_000)),
    (ctx) => ctx.path.startsWith("/.well-known") && (ctx.redirect("https://evil.example"), true),
    (ctx) => ctx.path.startsWith("/.well-known") && (ctx.status = 500),
  ]) {
    issuer.respond = respond;
    assert.deepEqual((await begin(server)).userErrors, [{ code: "OIDC_UNAVAILABLE", path: [] }]);
  }
  issuer.respond = null;
  const input = await goAndReturn(await begin(server), "asha");
  issuer.respond = (ctx) => ctx.path === "/token" && (ctx.status = 503);
  assert.equal(codeOf(await complete(server, input)), "OIDC_UNAVAILABLE");
  issuer.respond = null;
  // With these settings of the issuer, the ID token has the e-mail address, so the server does not request the user
  // information.
  assert.equal((await signIn(server, "asha")).user.email, "asha@example.com");
});

test("an address gives access to an account only if the issuer and jishu have verified the address", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  assert.equal(codeOf(await signIn(server, "binod")), "OIDC_EMAIL_NOT_VERIFIED");
  assert.equal(codeOf(await signIn(server, "nameless")), "OIDC_EMAIL_NOT_VERIFIED");
  // The demo's learner has verified the address.
  const learner = await signIn(server, "learner");
  assert.equal(learner.user.email, "learner@example.com");
  // A stranger registers with the address of a victim. Then the victim signs in at the issuer.
  const stranger = await server.register("victim@example.com");
  assert.equal(codeOf(await signIn(server, "victim")), "OIDC_ACCOUNT_EXISTS");
  // The stranger cannot link an identity either.
  const begun = await beginLink(server, stranger.accessToken, password);
  const input = await goAndReturn(begun, "elsewhere");
  const { linkOidcIdentity } = await server.data(LINK, { input }, stranger.accessToken);
  assert.deepEqual(linkOidcIdentity, { identities: [], userErrors: [{ code: "EMAIL_NOT_VERIFIED" }] });
  assert.equal((await signIn(server, "elsewhere")).user.email, "elsewhere@example.org");
});

test("a signed-in user links and removes an identity", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const token = (await passwordLogin(server, "learner@example.com", "learn-with-jishu")).tokens.accessToken;
  const wrong = await beginLink(server, token, "wrong horse");
  assert.deepEqual(wrong.userErrors, [{ code: "INVALID_CREDENTIALS", path: ["password"] }]);
  const input = await goAndReturn(await beginLink(server, token, null), "elsewhere");
  // A link that was begun cannot be completed as a sign-in, and a sign-in cannot be completed as a link.
  assert.equal(codeOf(await complete(server, input)), "OIDC_LOGIN_INVALID");
  const ofLogin = await goAndReturn(await begin(server), "elsewhere");
  const link = async (input, who = token) => (await server.data(LINK, { input }, who)).linkOidcIdentity;
  assert.deepEqual((await link(ofLogin)).userErrors, [{ code: "OIDC_LOGIN_INVALID" }]);
  const { identities, userErrors } = await link(input);
  assert.deepEqual([identities.length, userErrors], [1, []]);
  assert.equal((await signIn(server, "elsewhere")).user.email, "learner@example.com");
  // Another account cannot take the linked identity.
  const asha = (await signIn(server, "asha")).tokens.accessToken;
  const again = await goAndReturn(await beginLink(server, asha, null), "elsewhere");
  assert.deepEqual((await link(again, asha)).userErrors, [{ code: "OIDC_IDENTITY_TAKEN" }]);
  const foreign = await server.data(UNLINK, { id: identities[0].id }, asha);
  assert.equal(foreign.unlinkOidcIdentity.userErrors[0].code, "OIDC_IDENTITY_NOT_FOUND");
  const removed = await server.data(UNLINK, { id: identities[0].id }, token);
  assert.deepEqual(removed.unlinkOidcIdentity, { identities: [], userErrors: [] });
  assert.equal((await signIn(server, "elsewhere")).user.email, "elsewhere@example.org");
});

test("a user with a second factor must send a code after the sign-in at the issuer", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const token = (await signIn(server, "asha")).tokens.accessToken;
  // This account has no known password, so its recent sign-in is enough to set up a second factor.
  const recoveryCodes = await setUpSecondFactor(server, token);
  const waiting = await signIn(server, "asha");
  assert.equal(codeOf(waiting), "SECOND_FACTOR_REQUIRED");
  const completed = await completeWithCode(server, waiting, recoveryCodes[0]);
  assert.deepEqual(completed, { user: { email: "asha@example.com" }, userErrors: [] });
});

test("a first sign-in links an account with a second factor only after the code", async (t) => {
  const issuer = await startIssuer(t, ACCOUNTS);
  const server = await startServer(t, { args: issuer.flags });
  const token = (await passwordLogin(server, "learner@example.com", "learn-with-jishu")).tokens.accessToken;
  const recoveryCodes = await setUpSecondFactor(server, token);
  const linked = async () => {
    const { viewer } = await server.data("{ viewer { linkedIdentities { issuer } } }", {}, token);
    return viewer.linkedIdentities;
  };
  const waiting = await signIn(server, "learner");
  assert.equal(codeOf(waiting), "SECOND_FACTOR_REQUIRED");
  assert.deepEqual(await linked(), []);
  const wrong = await completeWithCode(server, waiting, "0000-1111-2222-3333");
  assert.deepEqual(wrong, { user: null, userErrors: [{ code: "SECOND_FACTOR_CODE_INVALID" }] });
  assert.deepEqual(await linked(), []);
  const completed = await completeWithCode(server, waiting, recoveryCodes[0]);
  assert.deepEqual(completed, { user: { email: "learner@example.com" }, userErrors: [] });
  assert.deepEqual(await linked(), [{ issuer: issuer.url }]);
});

test("without an issuer, nobody can sign in with OpenID Connect", async (t) => {
  const server = await startServer(t);
  assert.deepEqual((await begin(server)).userErrors, [{ code: "OIDC_NOT_SET_UP", path: [] }]);
});

/** Sets up a second factor with the token of a recent sign-in, and returns the recovery codes. */
async function setUpSecondFactor(server, token) {
  const { beginTwoFactor } = await server.data("mutation { beginTwoFactor { secret userErrors { code } } }", {}, token);
  const { confirmTwoFactor } = await server.data(
    "mutation ($code: String!) { confirmTwoFactor(code: $code) { recoveryCodes userErrors { code } } }",
    { code: await oneTimePassword(beginTwoFactor.secret) },
    token,
  );
  return confirmTwoFactor.recoveryCodes;
}

/** Completes a sign-in that waits for the second factor. */
async function completeWithCode(server, { secondFactor }, recoveryCode) {
  const { completeLogin } = await server.data(
    `mutation ($input: CompleteLoginInput!) { completeLogin(input: $input) { user { email } userErrors { code } } }`,
    { input: { challenge: secondFactor.challenge, recoveryCode } },
  );
  return completeLogin;
}

/** Returns the code that an authenticator app shows now. */
async function oneTimePassword(secret) {
  const { createHmac } = await import("node:crypto");
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const signature = createHmac("sha1", key).update(step).digest();
  const number = signature.readUInt32BE(signature[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
