// Checks the fake of Stripe and the crate `payment-providers` with Stripe's own library. The library verifies the
// signatures of the fake, and agrees with the crate on signatures. The library's client works with the fake, and its
// types fit the fake's objects.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import Stripe from "stripe";
import typescript from "typescript";

import { root } from "../support/server.mjs";
import { startFakes } from "./fakes.mjs";

/** Returns a client of the library for the fake. */
function client({ address, secretKey }) {
  const { hostname: host, port } = new URL(address);
  return new Stripe(secretKey, { protocol: "http", host, port, maxNetworkRetries: 0, telemetry: false });
}

const parameters = (reference) => ({
  amount: 49900,
  currency: "inr",
  automatic_payment_methods: { enabled: true },
  description: "Physics",
  metadata: { order_reference: reference },
});

test("the library's client creates, reads, captures, cancels and refunds at the fake", async (t) => {
  const { stripe: keys, run } = await startFakes(t);
  const stripe = client(keys);
  const idempotent = { idempotencyKey: "key-of-order-1" };
  const intent = await stripe.paymentIntents.create({ ...parameters("order-1"), capture_method: "manual" }, idempotent);
  assert.equal(intent.status, "requires_payment_method");
  const again = await stripe.paymentIntents.create({ ...parameters("order-1"), capture_method: "manual" }, idempotent);
  assert.equal(again.id, intent.id);
  assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
  await assert.rejects(stripe.paymentIntents.create(parameters("order-2"), idempotent), { type: "StripeIdempotencyError" });

  await run({ do: "pay", provider: "stripe", order: intent.id });
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, "requires_capture");
  assert.equal((await stripe.paymentIntents.capture(intent.id)).status, "succeeded");
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 9900 });
  assert.equal(refund.status, "succeeded");
  const refunds = await stripe.refunds.list({ payment_intent: intent.id });
  assert.deepEqual(refunds.data.map(({ id }) => id), [refund.id]);
  const expanded = await stripe.paymentIntents.retrieve(intent.id, { expand: ["latest_charge"] });
  assert.equal(expanded.latest_charge.amount_refunded, 9900);
  await assert.rejects(stripe.paymentIntents.cancel(intent.id), { code: "payment_intent_unexpected_state" });
  await assert.rejects(stripe.paymentIntents.retrieve("pi_unknown"), { code: "resource_missing", statusCode: 404 });

  const other = await stripe.paymentIntents.create(parameters("order-3"));
  assert.equal((await stripe.paymentIntents.cancel(other.id)).status, "canceled");
});

/** Makes the fake create each kind of event that the crate reads, and returns the webhooks. */
async function allEvents({ stripe: keys, run }) {
  const stripe = client(keys);
  const order = (await stripe.paymentIntents.create(parameters("order-1"))).id;
  await run({ do: "fail", provider: "stripe", order });
  await run({ do: "pay", provider: "stripe", order });
  await run({ do: "refund", provider: "stripe", payment: order, amount: 100 });
  await run({ do: "dispute", provider: "stripe", payment: order, amount: 100 });
  await stripe.paymentIntents.cancel((await stripe.paymentIntents.create(parameters("order-2"))).id);
  return run({ do: "webhooks", provider: "stripe" });
}

test("the library verifies what the fake signs, and refuses what is changed", async (t) => {
  const fakes = await startFakes(t);
  const secret = fakes.stripe.webhookSecret;
  const events = await allEvents(fakes);
  const kinds = new Set(events.map(({ kind }) => kind));
  for (const kind of ["payment_intent.succeeded", "payment_intent.canceled", "refund.created", "charge.dispute.created"]) {
    assert.ok(kinds.has(kind), kind);
  }
  for (const { kind, headers, body } of events) {
    const signature = headers["Stripe-Signature"];
    assert.equal(Stripe.webhooks.constructEvent(body, signature, secret).type, kind);
    assert.throws(() => Stripe.webhooks.constructEvent(`${body} `, signature, secret), /signature/);
  }
});

test("the crate and the library agree on signatures, also on stale signatures", async (t) => {
  const { run } = await startFakes(t);
  const secret = "whsec_ünicode";
  const body = JSON.stringify(
    { id: "evt_1", object: "event", type: "plan.created", livemode: false, created: 1, data: { object: {} }, note: "₹" },
    null,
    2,
  );
  const now = Math.floor(Date.now() / 1000);
  const header = (options) =>
    Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: now, ...options });
  const right = header({});
  for (const [name, signature] of [
    ["right", right],
    ["several", right.replace(",v1=", `,v1=${"0".repeat(64)},v1=`)],
    ["with another scheme", `${right},v0=00`],
    ["of another secret", header({ secret: "whsec_other" })],
    ["of another body", header({ payload: `${body} ` })],
    ["of another scheme", header({ scheme: "v0" })],
    ["with another time", right.replace(`t=${now}`, `t=${now - 1}`)],
    ["nearly stale", header({ timestamp: now - 290 })],
    ["stale", header({ timestamp: now - 310 })],
    ["blank", ""],
  ]) {
    let accepted = true;
    try {
      Stripe.webhooks.constructEvent(body, signature, secret);
    } catch {
      accepted = false;
    }
    const verdict = await run({
      do: "verify",
      provider: "stripe",
      secret,
      headers: { "Stripe-Signature": signature },
      body,
      now,
    });
    assert.equal(verdict.error === undefined, accepted, `${name}: ${verdict.error}`);
  }
});

test("the fake's objects have the types of the library", async (t) => {
  const events = await allEvents(await startFakes(t));
  const types = {
    payment_intent: "Stripe.PaymentIntent",
    charge: "Stripe.Charge",
    refund: "Stripe.Refund",
    dispute: "Stripe.Dispute",
  };
  const lines = [`import type Stripe from "stripe";`];
  const seen = new Set();
  events.forEach(({ body }, index) => {
    const event = JSON.parse(body);
    const { object } = event.data.object;
    seen.add(object);
    // TypeScript checks a literal exactly, so it finds missing, wrong and unknown fields.
    lines.push(`export const object${index}: ${types[object]} = ${JSON.stringify(event.data.object)};`);
    const { data, type, ...envelope } = event;
    lines.push(
      `export const event${index}: Omit<Stripe.EventBase, "data" | "type"> = ${JSON.stringify(envelope)};`,
      `export const type${index}: Stripe.Event["type"] = ${JSON.stringify(type)};`,
    );
  });
  assert.deepEqual([...seen].sort(), Object.keys(types).sort());

  const folder = await mkdtemp(join(root, "tests/clients/payments/types-"));
  try {
    const file = join(folder, "objects.ts");
    await writeFile(file, lines.join("\n"));
    const program = typescript.createProgram([file], {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: typescript.ScriptTarget.ES2022,
      module: typescript.ModuleKind.NodeNext,
      moduleResolution: typescript.ModuleResolutionKind.NodeNext,
      types: [],
    });
    const problems = typescript
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => typescript.flattenDiagnosticMessageText(messageText, "\n"));
    assert.deepEqual(problems, []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the crate sends the version of Stripe's API that the library uses", async () => {
  const source = await readFile(join(root, "api/payment-providers/src/stripe.rs"), "utf8");
  const [, version] = /STRIPE_VERSION: &str = "([^"]+)"/.exec(source);
  assert.equal(version, new Stripe("sk_test_1").getApiField("version"));
});
