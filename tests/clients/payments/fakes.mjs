// Starts the fakes of the payment providers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { program } from "../support/server.mjs";

/**
 * Starts `payment-fakes`, and stops it when the test `t` ends.
 * @param {import("node:test").TestContext} t
 * @returns {Promise<{ razorpay: object, stripe: object, run: (command: object) => Promise<any> }>}
 */
export async function startFakes(t) {
  const child = spawn(program("payment-fakes"), { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  t.after(() => child.stdin.end());
  const next = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, "payment-fakes has ended");
    return JSON.parse(value);
  };
  const start = await next();
  return {
    ...start,
    run(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      return next();
    },
  };
}
