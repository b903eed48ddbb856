// Migrates a database while nodes of this version and of the next version serve learners. The next version is this
// version with one more migration, which adds columns, a check, an index and a table: `tests/clients/deploy/build-next`
// builds it. To run two releases, put their binaries into a folder as `jishu` and `jishu-next`, and set JISHU_BIN to
// this folder.
//
//   SECONDS=600 node tests/clients/deploy/upgrade.mjs [postgres] [mariadb]

import assert from "node:assert/strict";

import { program } from "../support/server.mjs";
import { Storm, assertSound, inLab, pause, run } from "./lab.mjs";

const SECONDS = Number(process.env.SECONDS ?? 20);
const LEARNERS = 4;
const next = program("jishu-next");

async function upgrade(lab, database) {
  const { url } = database;
  const [one, two] = [await lab.node({ url }), await lab.node({ url })];
  let origins = [one.origin, two.origin];
  let turn = 0;
  const storm = new Storm(() => origins[(turn += 1) % origins.length]);
  storm.start(LEARNERS);
  const step = (SECONDS * 1000) / 5;
  await pause(step);

  const options = { env: { PATH: process.env.PATH, RUST_LOG: "warn" } };
  console.log((await run(next, ["migrate", "plan", "--database-url", url], options)).stdout);
  let began = Date.now();
  await run(next, ["migrate", "up", "--database-url", url], options);
  console.log(`migrated in ${((Date.now() - began) / 1000).toFixed(1)} s, under load`);
  await pause(step);

  // A node of this version must be able to start on a database that the next version has migrated.
  origins = [two.origin];
  await pause(1_000);
  assert.equal(await lab.stop(one.child), 0, one.child.log);
  const again = await lab.node({ url });
  origins = [again.origin, two.origin];
  await pause(step);

  const newer = await lab.node({ url, binary: next });
  origins = [again.origin, newer.origin];
  assert.equal(await lab.stop(two.child), 0, two.child.log);
  const before = storm.purchases.length;
  await pause(2 * step);
  assert.ok(storm.purchases.length > before, "no purchase was made while both versions ran");
  await storm.end();
  for (const node of [again, newer]) {
    assert.equal(await lab.stop(node.child), 0, node.child.log);
    assert.doesNotMatch(node.child.log, /ERROR|panicked/);
  }
  console.log(`${storm.requests} requests in ${SECONDS} s, ${storm.failures.length} failed, ${storm.purchases.length} purchases, ${storm.sittings} sittings`);
  assert.deepEqual(storm.failures, []);
  console.log(await assertSound(url, next));
}

const chosen = process.argv.length > 2 ? process.argv.slice(2) : ["postgres", "mariadb"];
for (const name of chosen) {
  console.log(`== ${name}`);
  await inLab(async (lab) => upgrade(lab, await lab[name]()));
}
