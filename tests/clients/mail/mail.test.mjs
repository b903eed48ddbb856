// Sends mails over SMTP with STARTTLS and authentication to an independent mail server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { SMTPServer } from "smtp-server";

import { program, startServer } from "../support/server.mjs";

const USER = "jishu@example.org";
const PASSWORD = "a secret: @ and +";

/** Makes a certificate for `localhost`, and returns the paths of its key and of the certificate. */
async function certificate(t) {
  const folder = await mkdtemp(join(tmpdir(), "jishu-mail-"));
  t.after(() => rm(folder, { recursive: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"],
    ],
    { stdio: "ignore" },
  );
  return { key, cert };
}

/** Starts a mail server that accepts mails only over TLS and after authentication. */
async function startMailServer(t, { key, cert }) {
  const mails = [];
  const server = new SMTPServer({
    key: await readFile(key),
    cert: await readFile(cert),
    authMethods: ["PLAIN", "LOGIN"],
    onAuth({ username, password }, session, callback) {
      const right = session.secure && username === USER && password === PASSWORD;
      callback(right ? null : new Error("unknown"), right ? { user: username } : undefined);
    },
    onData(stream, session, callback) {
      let text = "";
      stream.setEncoding("utf8").on("data", (part) => (text += part));
      stream.on("end", () => {
        const to = session.envelope.rcptTo.map(({ address }) => address);
        mails.push({ to, from: session.envelope.mailFrom.address, secure: session.secure, text });
        callback(null);
      });
    },
  });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return { mails, port: server.server.address().port };
}

/** Waits until `look` returns a truthy value, and returns it. Fails after 30 seconds. */
async function waitFor(look) {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = look();
    if (found) return found;
    assert.ok(Date.now() < end, "the awaited value did not come within 30 seconds");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a mail goes over STARTTLS to a mail server that asks for a password", async (t) => {
  const files = await certificate(t);
  const { mails, port } = await startMailServer(t, files);
  const login = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
  const server = await startServer(t, {
    args: [
      ...["--smtp-url", `smtp://${login}@localhost:${port}?tls=required`, "--smtp-ca", files.cert],
      ...["--mail-from", "Akademie für alle <no-reply@academy.example>", "--frontend-url", "https://academy.example"],
    ],
  });
  const { accessToken } = await server.register("asha@example.com");
  const mail = await waitFor(() => mails[0]);
  assert.deepEqual(mail.to, ["asha@example.com"]);
  assert.equal(mail.from, "no-reply@academy.example");
  assert.equal(mail.secure, true);
  const token = /https:\/\/academy\.example\/verify-email#token=(jlt_[\w-]+)/.exec(mail.text)[1];
  const { verifyEmail } = await server.data(
    "mutation ($token: String!) { verifyEmail(token: $token) { user { emailVerified } userErrors { code } } }",
    { token },
    accessToken,
  );
  assert.deepEqual(verifyEmail, { user: { emailVerified: true }, userErrors: [] });
});

test("a mail server whose certificate is unknown gets nothing", async (t) => {
  const files = await certificate(t);
  const { mails, port } = await startMailServer(t, files);
  const login = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
  const server = await startServer(t, { args: ["--smtp-url", `smtp://${login}@localhost:${port}?tls=required`] });
  await server.register("asha@example.com");
  const database = `sqlite://${server.keys.replace(/\.keys\.pem$/, "")}`;
  const list = () => execFileSync(program("jishu"), ["outbox", "list", "--database-url", database], { encoding: "utf8" });
  await waitFor(() => /pending.*verify_email.*cannot be reached/.test(list()));
  assert.deepEqual(mails, []);
});
