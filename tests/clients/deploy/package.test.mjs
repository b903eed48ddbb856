// Checks that the files of api/deploy agree with the server, with systemd and with each other. `api/deploy/check` does
// more: it builds the image and the package.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { program, root } from "../support/server.mjs";
import { freePort, until } from "./lab.mjs";

const run = promisify(execFile);
const MAX_EXPOSURE = 2.0;
/** A user id that no account of the system has, like the ids that systemd gives with `DynamicUser=`. */
const UNIT_USER = 61_999;

const deployed = (name) => readFile(join(root, "api/deploy", name), "utf8");
const exists = (command) => run("sh", ["-c", `command -v ${command}`]).then(() => true, () => false);

/** Returns the values of a directive of jishu.service, in order. */
async function unit(name) {
  const lines = (await deployed("jishu.service")).split("\n");
  return lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
}

test("systemd accepts the unit and finds little exposure", async (t) => {
  if (!(await exists("systemd-analyze"))) return t.skip("systemd-analyze is not installed");
  const folder = await mkdtemp(join(tmpdir(), "jishu-unit-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "jishu.service");
  // systemd looks for the program of the unit. The program is not installed here, so the unit names the built binary.
  const text = (await deployed("jishu.service")).replace("/usr/bin/jishu", program("jishu")).replace(/^Documentation=.*\n/m, "");
  await writeFile(file, text);
  const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", file]);
  const told = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("jishu.service"));
  assert.deepEqual(told, []);
  const judged = await run("systemd-analyze", ["security", "--offline=true", "--no-pager", file]);
  const exposure = Number(/Overall exposure level for jishu.service: ([0-9.]+)/.exec(judged.stdout)[1]);
  assert.ok(exposure <= MAX_EXPOSURE, judged.stdout);
});

test("the command of jishu.service runs with the rights that jishu.service gives", async (t) => {
  if (userInfo().uid !== 0) return t.skip("only root can mount folders and start a process with the rights of jishu.service");
  const [command] = await unit("ExecStart");
  const [state] = await unit("StateDirectory");
  const [umask] = await unit("UMask");
  const port = await freePort();
  const variables = [...(await unit("Environment")), `JISHU_LISTEN=127.0.0.1:${port}`];
  const folder = await mkdtemp(join(tmpdir(), "jishu-state-"));
  t.after(() => rm(folder, { recursive: true }));
  // The state folder is the only place where the server can write. The script mounts `folder` there, so that the test
  // sees the server's files in `folder`.
  const script = `set -e
    chown ${UNIT_USER}:${UNIT_USER} "$1"; chmod 700 "$1"
    mount -t tmpfs tmpfs /var/lib; mkdir "/var/lib/${state}"; mount --bind "$1" "/var/lib/${state}"
    mount -o remount,ro,bind /; mount -o remount,ro /var/lib
    umask ${umask}; cd "/var/lib/${state}"; shift
    exec setpriv --reuid=${UNIT_USER} --regid=${UNIT_USER} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`;
  const [, ...args] = command.split(" ");
  const copied = join(await mkdtemp(join(tmpdir(), "jishu-bin-")), "jishu");
  await run("install", ["-D", "-m", "755", program("jishu"), copied]);
  await run("chmod", ["755", join(copied, "..")]);
  t.after(() => rm(join(copied, ".."), { recursive: true }));
  const child = spawn("unshare", ["--mount", "sh", "-c", script, "sh", folder, copied, ...args], {
    env: { PATH: process.env.PATH, ...Object.fromEntries(variables.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)])) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (log += text));
  t.after(() => child.kill("SIGKILL"));
  await until("the server is ready", async () => {
    assert.equal(child.exitCode, null, log);
    return (await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined))?.status === 200;
  });
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  assert.match(status, new RegExp(`^Uid:\\s+${UNIT_USER}\\s+${UNIT_USER}`, "m"));
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^CapEff:\s+0+$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  const written = await readdir(folder);
  for (const name of ["jishu.db", "jishu.db.keys.pem"]) assert.ok(written.includes(name), `${written}`);
  const mounts = await readFile(`/proc/${child.pid}/mounts`, "utf8");
  assert.match(mounts, / \/ \S+ ro[, ]/, mounts);
  const exit = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill("SIGTERM");
  assert.equal(await exit, 0, log);
  assert.deepEqual((await readdir(folder)).sort(), ["jishu.db", "jishu.db.keys.pem"]);
});

test("every environment variable in the files of api/deploy is known to the server", async () => {
  const { stdout: help } = await run(program("jishu"), ["serve", "--help"], { maxBuffer: 1 << 24 });
  const known = new Set([...help.matchAll(/\[env: ([A-Z_]+)/g)].map(([, name]) => name));
  assert.ok(known.has("JISHU_LISTEN") && known.size > 50);
  for (const file of ["Containerfile", "build-image", "compose.yaml", "jishu.env", "jishu.service", "kubernetes.yaml"]) {
    const named = [...(await deployed(file)).matchAll(/\b(JISHU_[A-Z_]+|DATABASE_URL)\b/g)].map(([, name]) => name);
    const own = ["JISHU_GRAPHIQL", "JISHU_BINARY"];
    for (const name of named.filter((name) => !own.includes(name))) assert.ok(known.has(name), `${file}: ${name}`);
  }
});

test("each way to deploy gives a node enough time to stop", async () => {
  const { stdout: help } = await run(program("jishu"), ["serve", "--help"], { maxBuffer: 1 << 24 });
  const drain = Number(/env: JISHU_DRAIN_SECONDS[^\]]*\]\s*\[default: (\d+)\]/.exec(help)[1]);
  const otlp = Number(/env: JISHU_OTLP_SECONDS[^\]]*\]\s*\[default: (\d+)\]/.exec(help)[1]);
  // The seconds that a node needs to send the last traces, to abort requests, and to close the database.
  const rest = otlp + 6;
  const number = (text, pattern) => Number(pattern.exec(text)[1]);
  const compose = await deployed("compose.yaml");
  const kubernetes = await deployed("kubernetes.yaml");
  for (const [name, notice, limit] of [
    ["compose.yaml", number(compose, /NOTICE_SECONDS: "(\d+)"/), number(compose, /stop_grace_period: (\d+)s/)],
    ["kubernetes.yaml", number(kubernetes, /NOTICE_SECONDS, value: "(\d+)"/), number(kubernetes, /terminationGracePeriodSeconds: (\d+)/)],
    ["jishu.service", number(await deployed("jishu.env"), /NOTICE_SECONDS=(\d+)/), Number((await unit("TimeoutStopSec"))[0])],
  ]) {
    assert.ok(limit >= notice + drain + rest, `${name}: ${limit} s for ${notice} + ${drain} + ${rest}`);
  }
  // HAProxy must notice that a node stops before the port of the node closes.
  const haproxy = await deployed("haproxy.cfg");
  const noticed = number(haproxy, /inter (\d+)s/) * number(haproxy, /fall (\d+)/) + 1;
  assert.ok(number(compose, /NOTICE_SECONDS: "(\d+)"/) > noticed);
});

test("git and the image ignore secrets", async () => {
  const ignored = async (file) => run("git", ["-C", root, "check-ignore", "--quiet", "--no-index", file]).then(() => true, () => false);
  const compose = await deployed("compose.yaml");
  const [, keys] = /^ {4}file: \.\/(\S+)$/m.exec(compose);
  for (const file of [`api/deploy/${keys}`, "api/deploy/.env", ".env", "jishu.db.keys.pem"]) assert.ok(await ignored(file), file);
  assert.ok(!(await ignored("api/deploy/compose.yaml")));
  const image = (await readFile(join(root, ".dockerignore"), "utf8")).split("\n");
  for (const pattern of ["api/deploy/*.pem", "**/.env", "**/*.keys.pem"]) assert.ok(image.includes(pattern), pattern);
  assert.match(keys, /^[^/]+\.pem$/);
});

test("no client can choose the address that it is counted under", async () => {
  const compose = await deployed("compose.yaml");
  const [, trusted] = /JISHU_TRUSTED_PROXIES: (\S+)\/32$/m.exec(compose);
  const [, own] = /ipv4_address: (\S+)$/m.exec(compose);
  assert.equal(trusted, own);
  const number = (address) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const contains = (network, address) => {
    const [base, bits] = network.split("/");
    const size = 2 ** (32 - Number(bits));
    return Math.floor(number(base) / size) === Math.floor(number(address) / size);
  };
  const [, subnet] = /subnet: (\S+)$/m.exec(compose);
  const [, given] = /ip_range: (\S+)$/m.exec(compose);
  assert.ok(contains(subnet, own) && !contains(given, own) && contains(subnet, given.split("/")[0]));
  const kubernetes = await deployed("kubernetes.yaml");
  const [, narrow] = /JISHU_TRUSTED_PROXIES, value: "([^"]+)"/.exec(kubernetes);
  for (const network of narrow.split(",")) assert.ok(Number(network.split("/")[1]) >= 24, network);
  const haproxy = (await deployed("haproxy.cfg")).split("\n").map((line) => line.trim());
  assert.ok(!haproxy.includes("option forwardfor"));
  for (const line of ["set-header X-Forwarded-For %[src]", "del-header Forwarded", "del-header traceparent", "del-header tracestate"]) {
    assert.ok(haproxy.includes(`http-request ${line}`), line);
  }
});

test("the image has the same user everywhere", async () => {
  for (const [file, pattern] of [
    ["Containerfile", /^USER 10001:10001$/m],
    ["build-image", /--user 10001:10001/],
    ["image-root", /^echo 'jishu:x:10001:10001:/m],
    ["compose.yaml", /^ {2}user: "10001:10001"$/m],
    ["kubernetes.yaml", /runAsUser: 10001\n\s+runAsGroup: 10001/],
  ]) {
    assert.match(await deployed(file), pattern, file);
  }
});

test("completions and manual pages name every command", async (t) => {
  const { stdout: help } = await run(program("jishu"), ["--help"], { maxBuffer: 1 << 24 });
  const commands = [...help.split("Commands:")[1].split("Options:")[0].matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
  assert.ok(commands.includes("verify-backup") && commands.length > 15, `${commands}`);
  const folder = await mkdtemp(join(tmpdir(), "jishu-man-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout } = await run(program("jishu"), ["completions", shell], { maxBuffer: 1 << 24 });
    for (const command of commands) assert.ok(stdout.includes(command), `${shell}: ${command}`);
    if (shell !== "bash") continue;
    await writeFile(join(folder, "completions"), stdout);
    await run("bash", ["-n", join(folder, "completions")]);
  }
  await run(program("jishu"), ["man", "--folder", folder]);
  const pages = await readdir(folder);
  for (const command of commands.filter((command) => command !== "help")) assert.ok(pages.includes(`jishu-${command}.1`), `${pages}`);
  const { stdout: page } = await run(program("jishu"), ["man"], { maxBuffer: 1 << 24 });
  assert.match(page, /^\.TH jishu 1/m);
});
