// Nodes of jishu and database servers for one test, and a storm of learners who buy and sit tests. Everything is on
// loopback, in a temporary folder, and ends with the test.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { password, program } from "../support/server.mjs";

const isRoot = userInfo().uid === 0;

/** Runs a program to its end, and returns its standard output and standard error. Rejects if the program fails. */
export const run = promisify(execFile);

/** Flags that switch the limits off, and make access tokens valid for an hour. */
const UNLIMITED = [
  ...["--user-cost-per-minute=0", "--address-cost-per-minute=0", "--address-users-cost-per-minute=0"],
  ...["--registrations-per-hour=0", "--sign-ins-per-minute=0", "--mails-per-receiver-per-hour=0"],
  ...["--mail-requests-per-hour=0", "--access-token-seconds=3600"],
];

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until `check` returns a truthy value, and returns it. Fails after `milliseconds`, by default a minute. */
export async function until(name, check, milliseconds = 60_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < end, `${name}: not within ${milliseconds} ms`);
    await pause(100);
  }
}

/** Returns a port that is free now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A temporary folder, and the processes that a test starts. `end` stops the processes and deletes the folder. */
export class Lab {
  static async make() {
    const lab = new Lab();
    lab.folder = await mkdtemp(join(tmpdir(), "jishu-lab-"));
    await run("chmod", ["755", lab.folder]);
    lab.processes = [];
    return lab;
  }

  /**
   * Starts a program. If the tests run as root and `user` is given, it runs as this user. Its output is in
   * `child.log`.
   */
  start(command, args, { env = {}, user = undefined, cwd = this.folder } = {}) {
    const drop = isRoot && user ? ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"] : [];
    const [first, ...rest] = [...drop, command, ...args];
    const child = spawn(first, rest, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    child.log = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (child.log += text));
    this.processes.push(child);
    return child;
  }

  /** Starts a node of jishu and waits until it is ready. By default the node migrates the database and has the demo. */
  async node({ url, port, args = [], hasDemo = true, binary = program("jishu") }) {
    port ??= await freePort();
    const flags = ["serve", ...(hasDemo ? ["--demo", "--migrate"] : []), "--listen", `127.0.0.1:${port}`, "--database-url", url];
    const keys = ["--signing-keys", await this.keys()];
    const child = this.start(binary, [...flags, ...keys, ...UNLIMITED, ...args], { env: { RUST_LOG: "warn" } });
    const origin = `http://127.0.0.1:${port}`;
    await until("the node is ready", async () => {
      assert.equal(child.exitCode, null, child.log);
      const response = await fetch(`${origin}/health/ready`).catch(() => undefined);
      return response?.status === 200;
    });
    return { child, origin, port };
  }

  async keys() {
    const file = join(this.folder, "signing-keys.pem");
    if (!this.hasKeys) await run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", file]);
    this.hasKeys = true;
    return file;
  }

  /** Stops a process and returns its exit code. PostgreSQL would wait for its clients, so it gets SIGINT. */
  async stop(child, signal = child.stopSignal ?? "SIGTERM") {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  }

  async end() {
    for (const child of this.processes.reverse()) await this.stop(child);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Creates a folder. If the tests run as root, the folder belongs to the user of a database server. */
  async folderOf(user, name) {
    const folder = join(this.folder, name);
    await mkdir(folder, { mode: 0o700 });
    if (isRoot) {
      const { stdout } = await run("id", ["-u", user]);
      const { stdout: group } = await run("id", ["-g", user]);
      await chown(folder, Number(stdout), Number(group));
    }
    return folder;
  }

  /** Runs a program to its end. If the tests run as root, it runs as the user of a database server. */
  async runAs(user, command, args, options = {}) {
    const drop = isRoot ? ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"] : [];
    const [first, ...rest] = [...drop, command, ...args];
    return run(first, rest, { maxBuffer: 64 << 20, ...options });
  }

  /** Starts PostgreSQL on a data folder. Creates the folder if `data` is not given. */
  async postgres({ data, settings = [], port } = {}) {
    const bin = await postgresBin();
    if (!data) {
      data = await this.folderOf("postgres", `postgres-${randomUUID()}`);
      await this.runAs("postgres", join(bin, "initdb"), ["-D", data, "-U", "jishu", "-A", "trust", "-E", "UTF8", "--no-locale"]);
    }
    port ??= await freePort();
    const flags = settings.flatMap((setting) => ["-c", setting]);
    const args = ["-D", data, "-h", "127.0.0.1", "-p", `${port}`, "-c", "unix_socket_directories=", "-c", "max_connections=100"];
    const child = this.start(join(bin, "postgres"), [...args, ...flags], { user: "postgres" });
    child.stopSignal = "SIGINT";
    await until("PostgreSQL accepts connections", async () => {
      assert.equal(child.exitCode, null, child.log);
      return run(join(bin, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", `${port}`]).then(() => true, () => false);
    });
    return { child, data, port, url: `postgres://jishu@127.0.0.1:${port}/postgres` };
  }

  /** Starts MariaDB on a data folder. Creates the folder if `data` is not given, and the database if it is missing. */
  async mariadb({ data, settings = [] } = {}) {
    if (!data) {
      data = await this.folderOf("mysql", `mariadb-${randomUUID()}`);
      const user = isRoot ? "mysql" : userInfo().username;
      const args = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
      await run("mariadb-install-db", [...args, `--user=${user}`]);
    }
    const temporary = await this.folderOf("mysql", `mariadb-tmp-${randomUUID()}`);
    const port = await freePort();
    const args = ["--no-defaults", `--datadir=${data}`, `--tmpdir=${temporary}`, "--bind-address=127.0.0.1", `--port=${port}`];
    const more = [`--socket=${join(temporary, "socket")}`, "--character-set-server=utf8mb4", "--skip-log-bin", ...settings];
    const child = this.start("/usr/sbin/mariadbd", [...args, ...more], { user: "mysql" });
    const client = (sql) =>
      run("mariadb", ["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", `${port}`, "-u", "root", "-e", sql]);
    await until("MariaDB accepts connections", async () => {
      assert.equal(child.exitCode, null, child.log);
      return client("CREATE DATABASE IF NOT EXISTS jishu").then(() => true, () => false);
    });
    return { child, data, port, client, url: `mysql://root@127.0.0.1:${port}/jishu` };
  }
}

/** Returns the folder with the programs of the newest installed PostgreSQL. */
export async function postgresBin() {
  const versions = (await readdir("/usr/lib/postgresql")).map(Number).filter(Number.isInteger);
  return `/usr/lib/postgresql/${Math.max(...versions)}/bin`;
}

const PURCHASE = `mutation ($input: PurchaseInput!) { purchase(input: $input) {
  outcome purchase { id } testCards(first: 1) { totalCount edges { node { id } } } userErrors { code } } }`;
const START = `mutation ($input: StartTestSessionInput!) { startTestSession(input: $input) {
  session { id questions { slot options { id } } } userErrors { code } } }`;
const SAVE = `mutation ($input: SaveAnswersInput!) { saveAnswers(input: $input) {
  session { answerSequence } userErrors { code } } }`;
const SUBMIT = `mutation ($input: SubmitTestSessionInput!) { submitTestSession(input: $input) {
  session { status result { score } } userErrors { code } } }`;

/**
 * Learners who register, buy a course with several requests at once, and sit a test. Every response that is neither
 * data nor a user error is recorded as a failure.
 */
export class Storm {
  /** @param {() => string} origin returns the origin of the node or proxy for the next requests */
  constructor(origin) {
    this.origin = origin;
    this.purchases = [];
    this.failures = [];
    this.requests = 0;
    this.sittings = 0;
    this.isOver = false;
  }

  start(learners) {
    this.running = Array.from({ length: learners }, async () => {
      while (!this.isOver) await this.learner().catch((error) => this.failures.push(`${error.stack}`));
    });
  }

  async end() {
    this.isOver = true;
    await Promise.all(this.running);
  }

  async send(origin, query, variables, token) {
    this.requests += 1;
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    let response, text;
    try {
      response = await fetch(`${origin}/graphql`, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
      text = await response.text();
    } catch (error) {
      this.failures.push(`${error} ${error.cause ?? ""}`);
      return undefined;
    }
    const { data, errors } = response.status === 200 ? JSON.parse(text) : { errors: `${response.status} ${text}` };
    if (errors) this.failures.push(JSON.stringify(errors));
    return errors ? undefined : data;
  }

  /** Registers a learner, who buys the first course and sits its first test. */
  async learner() {
    const origin = this.origin();
    const email = `buyer-${randomUUID()}@example.com`;
    const register = "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }";
    const registered = await this.send(origin, register, { input: { name: "Asha", email, password } });
    if (!registered) return;
    const token = registered.register.tokens.accessToken;
    const purchase = { email, token, input: { courseId: "Q291cnNlOjE", purchaseType: "FULL_BUNDLE", idempotencyKey: randomUUID() } };
    const calls = [purchase.input, purchase.input, { ...purchase.input, idempotencyKey: randomUUID() }];
    const answers = await Promise.all(calls.map((input) => this.send(this.origin(), PURCHASE, { input }, token)));
    const bought = answers.filter(Boolean).map((answer) => answer.purchase);
    if (bought.length < calls.length) return;
    const ids = new Set(bought.map((payload) => payload.purchase.id));
    const created = bought.filter(({ outcome }) => outcome === "CREATED").length;
    // Two requests share a key, so both can return the response that created the cards.
    if (ids.size !== 1 || created < 1 || created > 2) this.failures.push(`bought ${ids.size} times: ${JSON.stringify(bought)}`);
    this.purchases.push({ ...purchase, id: bought[0].purchase.id, outcome: bought[0].outcome, cards: bought[0].testCards.totalCount, at: Date.now() });
    await this.sit(token, bought[0].testCards.edges[0].node.id);
  }

  async sit(token, mockTestAttemptId) {
    const started = await this.send(this.origin(), START, { input: { mockTestAttemptId } }, token);
    const session = started?.startTestSession.session;
    if (!session) return;
    const answers = session.questions.filter(({ options }) => options.length > 0).slice(0, 2);
    const chosen = answers.map(({ slot, options }) => ({ slot, optionIds: [options[0].id] }));
    const saved = await this.send(this.origin(), SAVE, { input: { sessionId: session.id, sequence: 1, answers: chosen } }, token);
    if (saved && saved.saveAnswers.session?.answerSequence !== 1) this.failures.push(`not saved: ${JSON.stringify(saved)}`);
    const submitted = await this.send(this.origin(), SUBMIT, { input: { sessionId: session.id } }, token);
    if (submitted && submitted.submitTestSession.session?.result == null) this.failures.push(JSON.stringify(submitted));
    if (submitted) this.sittings += 1;
  }

  /** Sends a purchase again with the same key, and returns the payload. */
  async repeat(origin, { input, token }) {
    return (await this.send(origin, PURCHASE, { input }, token))?.purchase;
  }
}

/** Fails if `jishu check` or `jishu verify-backup` finds a problem in a database. Returns what they printed. */
export async function assertSound(url, binary = program("jishu")) {
  const env = { PATH: process.env.PATH, RUST_LOG: "warn" };
  const options = { env, maxBuffer: 64 << 20 };
  const checked = await run(binary, ["check", "--database-url", url], options).catch((error) => error);
  assert.equal(checked.code ?? 0, 0, `${checked.stdout}${checked.stderr}`);
  const verified = await run(binary, ["verify-backup", url], options).catch((error) => error);
  assert.equal(verified.code ?? 0, 0, `${verified.stdout}${verified.stderr}`);
  return verified.stdout;
}

/** Calls `work` with a new lab, and ends the lab even if `work` fails. */
export async function inLab(work) {
  const lab = await Lab.make();
  try {
    await work(lab);
  } finally {
    await lab.end();
  }
}
