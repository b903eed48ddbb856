// Checks that a node reports when its database has become a replica, and how far the replica is behind its primary.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { Lab, Storm, pause, postgresBin, run, until } from "./lab.mjs";

/** Interval at which a node asks its database for the status of the replication. */
const STATUS_INTERVAL_MILLISECONDS = 10_000;

const databases = (process.env.TEST_DATABASES ?? "sqlite,postgres,mariadb").split(",");

/** Returns a lab that ends with the test. */
async function labOf(t) {
  const lab = await Lab.make();
  t.after(() => lab.end());
  return lab;
}

/** Returns the response to the readiness check of a node. It must come within two seconds. */
async function health({ origin }) {
  const began = Date.now();
  const response = await fetch(`${origin}/health/ready`, { headers: { connection: "close" } });
  const text = await response.text();
  assert.ok(Date.now() - began < 2_000, `${text} after ${Date.now() - began} ms`);
  return `${response.status} ${text.trim()}`;
}

/** Waits until the response to the readiness check of a node matches `expected`, and returns it. */
async function says(node, expected) {
  let last;
  const matches = async () => expected.test((last = await health(node)));
  await until(`${expected}`, matches).catch(() => assert.fail(`the readiness check does not match ${expected}: ${last}\n${node.child.log}`));
  return last;
}

/** Lets one learner buy a course and sit a test through a node. */
async function buy(node) {
  const storm = new Storm(() => node.origin);
  await storm.learner();
  assert.deepEqual(storm.failures, []);
  assert.equal(storm.purchases.length, 1);
}

test("a node reports that its primary of PostgreSQL became a standby, with the lag", { skip: !databases.includes("postgres") }, async (t) => {
  const lab = await labOf(t);
  const bin = await postgresBin();
  const psql = async ({ port }, sql) =>
    (await run(join(bin, "psql"), ["-XAtq", "-h", "127.0.0.1", "-p", `${port}`, "-U", "jishu", "-c", sql, "postgres"])).stdout.trim();
  const connection = ({ port }) => `host=127.0.0.1 port=${port} user=jishu`;

  const first = await lab.postgres();
  // jishu connects with an account that has no rights of an administrator, as in production.
  await psql(first, "CREATE ROLE app LOGIN; GRANT ALL ON DATABASE postgres TO app; GRANT ALL ON SCHEMA public TO app");
  const urlOf = ({ port }) => `postgres://app@127.0.0.1:${port}/postgres`;
  const node = await lab.node({ url: urlOf(first) });
  assert.equal(await health(node), "200 ready");

  // The servers change roles in order: the standby is promoted when it has all data, and the first server then follows
  // it.
  const copy = await lab.folderOf("postgres", "standby");
  const source = ["-h", "127.0.0.1", "-p", `${first.port}`, "-U", "jishu"];
  await lab.runAs("postgres", join(bin, "pg_basebackup"), [...source, "-D", copy, "--write-recovery-conf", "--checkpoint=fast"]);
  const second = await lab.postgres({ data: copy });
  const streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
  await until("the standby streams", async () => (await psql(first, streams)) === "1");
  await lab.stop(first.child);
  assert.match(await health(node), /^503 unavailable: /);
  await psql(second, "SELECT pg_promote()");
  await writeFile(join(first.data, "standby.signal"), "");
  const settings = [`primary_conninfo=${connection(second)}`, "recovery_target_timeline=latest"];
  const again = await lab.postgres({ data: first.data, settings, port: first.port });
  await until("the first server streams", async () => (await psql(second, streams)) === "1");
  await says(node, /^503 degraded: the database is a replica, 0 seconds behind its primary, and accepts no writes$/);
  // If nothing happens on the primary, the replica does not count as behind.
  await pause(STATUS_INTERVAL_MILLISECONDS + 1_000);
  assert.match(await health(node), / 0 seconds behind /);

  const other = await lab.node({ url: urlOf(second) });
  // A standby that has replayed no transaction since its start does not know how far it is behind. So one learner buys
  // first.
  await buy(other);
  await until("a transaction is replayed", async () => (await psql(again, "SELECT pg_last_xact_replay_timestamp() IS NOT NULL")) === "t");
  await psql(again, "SELECT pg_wal_replay_pause()");
  await until("the replay pauses", async () => (await psql(again, "SELECT pg_get_wal_replay_pause_state()")) === "paused");
  await buy(other);
  const behind = /^503 degraded: the database is a replica, ([2-9]|\d\d+) seconds behind its primary, and accepts no writes$/;
  await says(node, behind);
  await psql(again, "SELECT pg_wal_replay_resume()");
  await says(node, / 0 seconds behind /);

  // Without its primary, the standby does not know how much it misses, so it counts as behind.
  assert.equal(await lab.stop(other.child), 0, other.child.log);
  await lab.stop(second.child);
  await says(node, behind);
  await psql(again, "SELECT pg_promote()");
  await says(node, /^200 ready$/);
  await buy(node);
});

test("a node reports that its replica of MariaDB is behind or read-only", { skip: !databases.includes("mariadb") }, async (t) => {
  const lab = await labOf(t);
  const primary = await lab.mariadb({ settings: ["--server-id=1", "--log-bin=log"] });
  const replica = await lab.mariadb({ settings: ["--server-id=2"] });
  await primary.client("CREATE USER copier@'127.0.0.1'; GRANT REPLICATION SLAVE ON *.* TO copier@'127.0.0.1'; CREATE TABLE jishu.notes (id INT PRIMARY KEY)");
  for (const server of [primary, replica]) await server.client("SET sql_log_bin = 0; CREATE USER app@'127.0.0.1'; GRANT ALL ON jishu.* TO app@'127.0.0.1'");
  const urlOf = ({ port }) => `mysql://app@127.0.0.1:${port}/jishu`;
  const other = await lab.node({ url: urlOf(primary) });
  await replica.client(
    `CHANGE MASTER TO master_host = '127.0.0.1', master_port = ${primary.port}, master_user = 'copier', master_use_gtid = slave_pos; START REPLICA`,
  );
  const seconds = async () => /Seconds_Behind_Master: (\S+)/.exec((await replica.client("SHOW REPLICA STATUS\\G")).stdout)?.[1];
  const has = async (table) => (await replica.client(`SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'jishu' AND table_name = '${table}'`)).stdout.includes("1");
  await until("the replica has the demo", async () => (await seconds()) === "0" && (await has("outbox")));

  // The account of this node has no right to read the status of the replication. So the node only knows that its
  // database is a replica.
  const node = await lab.node({ url: urlOf(replica), hasDemo: false });
  assert.equal(await health(node), "200 ready");
  await replica.client("SET GLOBAL read_only = 1");
  await says(node, /^503 degraded: the database is a replica, behind its primary by an unknown time, and accepts no writes$/);
  await replica.client("GRANT REPLICA MONITOR ON *.* TO app@'127.0.0.1'");
  // A new right counts only for new connections, so another node is started.
  assert.equal(await lab.stop(node.child), 0, node.child.log);
  await replica.client("SET GLOBAL read_only = 0");
  const informed = await lab.node({ url: urlOf(replica), hasDemo: false });
  assert.equal(await health(informed), "200 ready");
  await replica.client("SET GLOBAL read_only = 1");
  await says(informed, /^503 degraded: the database is a replica, 0 seconds behind its primary, and accepts no writes$/);
  await replica.client("SET GLOBAL read_only = 0");
  await says(informed, /^200 ready$/);

  // Somebody locks a table on the replica, so that it cannot apply a change.
  const port = ["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", `${replica.port}`, "-u", "root"];
  const locker = lab.start("mariadb", [...port, "-e", "LOCK TABLES jishu.notes WRITE; SELECT SLEEP(600)"]);
  await until("the table is locked", async () => (await replica.client("SHOW PROCESSLIST")).stdout.includes("SLEEP"));
  await primary.client("INSERT INTO jishu.notes VALUES (1)");
  // The replica accepts writes, so it may be the active server of two that copy each other. The node stays in use.
  const said = await says(informed, /^200 impaired: the database is a replica, \d+ seconds behind its primary$/);
  assert.ok(Number(/\d+(?= seconds)/.exec(said)[0]) > 10, said);
  await lab.stop(locker, "SIGKILL");
  const [id] = /^\d+(?=\t.*SLEEP)/m.exec((await replica.client("SHOW PROCESSLIST")).stdout) ?? [];
  // The server may notice by itself that the client is gone, and end the connection before this statement does.
  if (id) await replica.client(`KILL ${id}`).catch((error) => assert.match(error.stderr, /Unknown thread id/));
  await says(informed, /^200 ready$/);
  // A server that has lost its primary, and accepts writes, counts as a primary. Its lag is unknown, and the node stays
  // in use.
  assert.equal(await lab.stop(other.child), 0, other.child.log);
  await lab.stop(primary.child);
  await until("the replica has lost its primary", async () => (await seconds()) === "NULL");
  await pause(STATUS_INTERVAL_MILLISECONDS + 1_000);
  assert.equal(await health(informed), "200 ready");
  await buy(informed);
});
