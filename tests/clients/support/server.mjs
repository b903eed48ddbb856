// Starts the real server, one for each test: on SQLite, in a temporary folder, on a free port, with the demo catalogue.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The root of the repository. */
export const root = new URL("../../../", import.meta.url).pathname;

/** Returns the path of a binary of the Rust build. `JISHU_BIN` names its folder if it is not the debug build's. */
export const program = (name) => join(process.env.JISHU_BIN ?? join(root, "target/debug"), name);

/**
 * Starts `jishu serve --demo` and stops it when the test `t` ends. The test fails if the server ended earlier or has
 * panicked.
 * @param {import("node:test").TestContext} t
 * @param {{ args?: string[], env?: Record<string, string> }} [options] more flags and variables
 * @returns {Promise<Server>}
 */
export async function startServer(t, { args = [], env = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "jishu-clients-"));
  const database = join(folder, "jishu.db");
  const child = spawn(
    program("jishu"),
    [
      ...["serve", "--demo", "--listen", "127.0.0.1:0", "--drain-seconds", "5"],
      ...["--database-url", `sqlite://${database}?mode=rwc`],
      ...args,
    ],
    { env: { PATH: process.env.PATH, RUST_LOG: "warn", ...env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  t.after(async () => {
    const alive = child.exitCode === null && child.signalCode === null;
    if (alive) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true });
    assert.ok(alive, `the server ended by itself:\n${log}`);
    assert.equal(child.exitCode, 0, `the server did not stop cleanly:\n${log}`);
    assert.doesNotMatch(log, /panicked/);
  });
  const origin = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${log}`)));
    createInterface(child.stdout).on("line", (line) => {
      const match = /^Endpoint\s+(http:\S+)\/graphql$/.exec(line);
      if (match) resolve(match[1]);
    });
  });
  return new Server(origin, `${database}.keys.pem`);
}

/** A running server, seen from outside. */
export class Server {
  /**
   * @param {string} origin such as `http://127.0.0.1:8080`
   * @param {string} keys the file with the keys that sign its access tokens
   */
  constructor(origin, keys) {
    this.origin = origin;
    this.keys = keys;
    this.url = `${origin}/graphql`;
    this.socketUrl = this.url.replace(/^http/, "ws");
  }

  /** Posts `body` as it is, if it is text, or as JSON. */
  post(body, headers = {}) {
    return fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  /** Returns the response to a document, with or without errors. */
  async request(query, variables = {}, token = undefined) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    return (await this.post({ query, variables }, headers)).json();
  }

  /** Returns the `data` of the response, which must have no errors. */
  async data(query, variables = {}, token = undefined) {
    const { data, errors } = await this.request(query, variables, token);
    assert.equal(errors, undefined, JSON.stringify(errors));
    return data;
  }

  /** Registers a learner and returns the tokens. */
  async register(email = "asha@example.com") {
    const { register } = await this.data(
      `mutation ($input: RegisterInput!) {
        register(input: $input) { tokens { accessToken refreshToken } userErrors { message } }
      }`,
      { input: { name: "Asha", email, password } },
    );
    assert.deepEqual(register.userErrors, []);
    return register.tokens;
  }

  /** Returns the demo's courses with the ids and prices of their subjects. */
  async courses() {
    const { courses } = await this.data(
      `{ courses { edges { node { id name subjects { edges { node { id name price { amount } } } } } } } }`,
    );
    return courses.edges.map(({ node }) => ({ ...node, subjects: node.subjects.edges.map((edge) => edge.node) }));
  }
}

/** The password of every account that the tests create. */
export const password = "correct horse battery staple";
