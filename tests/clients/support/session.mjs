// Keeps the tokens of a signed-in person as a frontend does, and renews them.

import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { readFile } from "node:fs/promises";

/** The tokens of one signed-in person. */
export class Session {
  /** How often the tokens were exchanged. */
  renewals = 0;
  #renewing = null;

  /** @param {import("./server.mjs").Server} server */
  constructor(server) {
    this.server = server;
    this.tokens = null;
  }

  get accessToken() {
    return this.tokens?.accessToken ?? null;
  }

  /** Returns the headers of a request. A WebSocket connection sends them as its parameters. */
  get headers() {
    return this.tokens ? { authorization: `Bearer ${this.accessToken}` } : {};
  }

  /** Exchanges the refresh token. Calls during the exchange share its result, because a token works only once. */
  renew() {
    this.#renewing ??= this.#exchange().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #exchange() {
    const { refreshTokens } = await this.server.data(
      `mutation ($token: String!) {
        refreshTokens(refreshToken: $token) { tokens { accessToken refreshToken } userErrors { message } }
      }`,
      { token: this.tokens.refreshToken },
    );
    assert.deepEqual(refreshTokens.userErrors, []);
    this.tokens = refreshTokens.tokens;
    this.renewals += 1;
  }

  /** Replaces the access token by a token that expires an hour earlier, signed with the server's own key. */
  async expire() {
    const [header, claims] = this.accessToken.split(".");
    const { exp, nbf, iat, ...who } = JSON.parse(Buffer.from(claims, "base64url"));
    const aged = JSON.stringify({ ...who, exp: exp - 3600, nbf: nbf - 3600, iat: iat - 3600 });
    const signed = `${header}.${Buffer.from(aged).toString("base64url")}`;
    const key = createPrivateKey(await readFile(this.server.keys));
    const signature = sign(null, Buffer.from(signed), key).toString("base64url");
    this.tokens = { ...this.tokens, accessToken: `${signed}.${signature}` };
  }
}
