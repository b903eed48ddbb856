// Drills of a restore, as api/docs/deploying.md describes them: PostgreSQL to a point in time, MariaDB with
// mariadb-backup, SQLite with `jishu backup`. Each drill checks the restored database, and sends every acknowledged
// purchase again, as clients do. Nothing may be sold twice.
//
//   node tests/clients/deploy/restore.mjs [postgres] [mariadb] [sqlite]

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { program } from "../support/server.mjs";
import { Storm, assertSound, inLab, postgresBin, run, until } from "./lab.mjs";

const LEARNERS = 4;
const PURCHASES = 15;
const EARLY_BUYERS = 10;

/** Lets learners buy until `purchases` more purchases are acknowledged. */
async function buy(storm, purchases) {
  const wanted = storm.purchases.length + purchases;
  storm.isOver = false;
  storm.start(LEARNERS);
  await until("purchases", () => storm.purchases.length >= wanted, 120_000);
  await storm.end();
  assert.deepEqual(storm.failures, []);
}

/**
 * Lets learners buy another course after the backup. The restored database has their accounts, but not this purchase.
 */
async function buyAfterTheBackup(storm) {
  const early = storm.purchases.slice(0, EARLY_BUYERS);
  for (const { email, token } of early) {
    const input = { courseId: "Q291cnNlOjI", purchaseType: "FULL_BUNDLE", idempotencyKey: randomUUID() };
    const bought = await storm.repeat(storm.origin(), { input, token });
    assert.equal(bought?.outcome, "CREATED");
    storm.purchases.push({ email, token, input, id: bought.purchase.id, cards: bought.testCards.totalCount, isAfter: true });
  }
}

/** Checks the restored database, then sends all purchases again. The first `kept` ones are from before the backup. */
async function assertNothingIsSoldTwice(lab, storm, kept, url) {
  console.log(await assertSound(url));
  const node = await lab.node({ url });
  storm.origin = () => node.origin;
  const outcomes = { same: 0, again: 0, gone: 0 };
  for (const [number, purchase] of storm.purchases.entries()) {
    const first = await storm.repeat(node.origin, purchase);
    if (number < kept) {
      // The response is stored with its idempotency key, so the repeated request gets the same response.
      assert.equal(first?.purchase?.id, purchase.id, `a purchase from before the backup was lost: ${JSON.stringify(first)}`);
      assert.equal(first.testCards.totalCount, purchase.cards);
      outcomes.same += 1;
      continue;
    }
    // If the account of the buyer is gone, too, the request fails. Otherwise the repeated requests make the purchase
    // exactly once.
    if (!first?.purchase) {
      outcomes.gone += 1;
      continue;
    }
    const second = await storm.repeat(node.origin, purchase);
    assert.equal(second.purchase.id, first.purchase.id);
    assert.equal(second.testCards.totalCount, purchase.cards);
    if (purchase.isAfter) assert.equal(first.outcome, "CREATED", "a purchase that was made after the backup is in the restored database");
    outcomes.again += 1;
  }
  assert.ok(outcomes.again >= EARLY_BUYERS, JSON.stringify(outcomes));
  storm.failures = [];
  await buy(storm, 5);
  await lab.stop(node.child);
  await assertSound(url);
  console.log(`${outcomes.same} purchases from before the backup exist once. Of the later purchases, ${outcomes.again} exist once now, and the accounts of ${outcomes.gone} are gone`);
}

const drills = {
  /** A base backup and the archived log, restored to a named point. */
  async postgres(lab) {
    const bin = await postgresBin();
    const archive = await lab.folderOf("postgres", "archive");
    const command = `test ! -f ${archive}/%f && cp %p ${archive}/%f`;
    const settings = ["wal_level=replica", "archive_mode=on", `archive_command=${command}`];
    const primary = await lab.postgres({ settings });
    const psql = async (sql) =>
      (await run(join(bin, "psql"), ["-XAtq", "-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "jishu", "-c", sql, "postgres"])).stdout.trim();
    const node = await lab.node({ url: primary.url });
    const storm = new Storm(() => node.origin);
    await buy(storm, PURCHASES);
    // The base backup is taken while learners buy.
    const base = join(archive, "..", "base");
    const backup = lab.runAs("postgres", join(bin, "pg_basebackup"), ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "jishu", "-D", await lab.folderOf("postgres", "base"), "-X", "none", "-c", "fast"]);
    const [{ stderr }] = await Promise.all([backup, buy(storm, PURCHASES)]);
    if (stderr) console.log(stderr.trim());
    const kept = storm.purchases.length;
    await psql("SELECT pg_create_restore_point('before_the_mistake')");
    await buyAfterTheBackup(storm);
    await buy(storm, PURCHASES);
    await psql("SELECT pg_switch_wal()");
    await until("the log is archived", async () => (await psql("SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) FROM pg_stat_archiver")) !== "f");
    await lab.stop(node.child);
    await lab.stop(primary.child);

    const began = Date.now();
    await writeFile(join(base, "recovery.signal"), "");
    const recovery = [`restore_command=cp ${archive}/%f %p`, "recovery_target_name=before_the_mistake", "recovery_target_action=promote"];
    const restored = await lab.postgres({ data: base, settings: recovery });
    await until("the recovery ends", async () => {
      const args = ["-XAtq", "-h", "127.0.0.1", "-p", `${restored.port}`, "-U", "jishu", "-c", "SELECT pg_is_in_recovery()", "postgres"];
      return (await run(join(bin, "psql"), args)).stdout.trim() === "f";
    });
    console.log(`restored to the point in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await assertNothingIsSoldTwice(lab, storm, kept, restored.url);
  },

  /** A copy by mariadb-backup, made while learners buy. */
  async mariadb(lab) {
    const primary = await lab.mariadb();
    const node = await lab.node({ url: primary.url });
    const storm = new Storm(() => node.origin);
    await buy(storm, PURCHASES);
    const kept = storm.purchases.length;
    const copy = await lab.folderOf("mysql", "copy");
    const tool = (args) => lab.runAs("mysql", "mariadb-backup", ["--no-defaults", ...args]);
    const copying = tool(["--backup", `--target-dir=${copy}`, `--datadir=${primary.data}`, "--protocol=tcp", "--host=127.0.0.1", `--port=${primary.port}`, "--user=root"]);
    await Promise.all([copying, buy(storm, PURCHASES)]);
    await buyAfterTheBackup(storm);
    await lab.stop(node.child);
    await lab.stop(primary.child);
    const began = Date.now();
    await tool(["--prepare", `--target-dir=${copy}`]);
    const restored = await lab.mariadb({ data: copy });
    console.log(`prepared and started in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await assertNothingIsSoldTwice(lab, storm, kept, restored.url);
  },

  /** `jishu backup` while learners buy, and `jishu restore`. */
  async sqlite(lab) {
    const url = (name) => `sqlite://${join(lab.folder, name)}?mode=rwc`;
    const node = await lab.node({ url: url("jishu.db") });
    const storm = new Storm(() => node.origin);
    await buy(storm, PURCHASES);
    const kept = storm.purchases.length;
    const file = join(lab.folder, "backup.db");
    const copying = run(program("jishu"), ["backup", file, "--database-url", url("jishu.db"), "--signing-keys", await lab.keys()]);
    const [made] = await Promise.all([copying, buy(storm, PURCHASES)]);
    console.log(made.stdout.trim());
    await buyAfterTheBackup(storm);
    await lab.stop(node.child);
    const elsewhere = join(lab.folder, "elsewhere");
    await mkdir(elsewhere);
    for (const end of ["", ".keys.pem"]) await cp(file + end, join(elsewhere, `backup.db${end}`));
    const target = `sqlite://${join(elsewhere, "jishu.db")}?mode=rwc`;
    await run(program("jishu"), ["restore", join(elsewhere, "backup.db"), "--database-url", target]);
    await assertNothingIsSoldTwice(lab, storm, kept, target);
  },
};

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(drills);
for (const name of chosen) {
  console.log(`== ${name}`);
  await inLab(drills[name]);
}
