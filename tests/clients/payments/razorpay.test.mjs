// Checks the fake of Razorpay and the crate `payment-providers` with Razorpay's own library. The library verifies the
// signatures of the fake, agrees with the crate on signatures, and its client works with the fake.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import Razorpay from "razorpay";
import utils from "razorpay/dist/utils/razorpay-utils.js";

import { startFakes } from "./fakes.mjs";

const { validatePaymentVerification, validateWebhookSignature } = utils;
const sign = (text, secret) => createHmac("sha256", secret).update(text).digest("hex");

/** Returns a client of the library for the fake. The constructor takes no address, so its HTTP client gets it here. */
function client({ address, keyId, keySecret }) {
  const razorpay = new Razorpay({ key_id: keyId, key_secret: keySecret });
  razorpay.api.rq.defaults.baseURL = address;
  razorpay.api.rq.defaults.proxy = false;
  return razorpay;
}

test("the library's client creates, reads, captures and refunds at the fake", async (t) => {
  const { razorpay: keys, run } = await startFakes(t);
  const razorpay = client(keys);
  const order = await razorpay.orders.create({
    amount: 49900,
    currency: "INR",
    receipt: "order-1",
    payment: { capture: "manual" },
  });
  assert.equal(order.entity, "order");
  assert.equal(order.status, "created");
  const listed = await razorpay.orders.all({ receipt: "order-1" });
  assert.deepEqual(listed.items.map(({ id }) => id), [order.id]);

  const back = await run({ do: "pay", provider: "razorpay", order: order.id });
  const payment = await razorpay.payments.fetch(back.razorpay_payment_id);
  assert.equal(payment.status, "authorized");
  const captured = await razorpay.payments.capture(payment.id, 49900, "INR");
  assert.deepEqual([captured.status, captured.captured], ["captured", true]);
  const ofOrder = await razorpay.orders.fetchPayments(order.id);
  assert.deepEqual(ofOrder.items.map(({ id }) => id), [payment.id]);
  assert.equal((await razorpay.orders.fetch(order.id)).status, "paid");

  const refund = await razorpay.payments.refund(payment.id, { amount: 9900, receipt: "refund-1" });
  assert.deepEqual([refund.entity, refund.amount, refund.status], ["refund", 9900, "processed"]);
  const refunds = await razorpay.payments.fetchMultipleRefund(payment.id, {});
  assert.deepEqual(refunds.items.map(({ id }) => id), [refund.id]);
  await assert.rejects(razorpay.payments.refund(payment.id, { amount: 49900 }), (refusal) => {
    assert.equal(refusal.statusCode, 400);
    assert.equal(refusal.error.code, "BAD_REQUEST_ERROR");
    return true;
  });
});

test("the library verifies what the fake signs, and refuses what is changed", async (t) => {
  const { razorpay: keys, run } = await startFakes(t);
  const order = await client(keys).orders.create({ amount: 49900, currency: "INR", receipt: "नमस्ते" });
  const back = await run({ do: "pay", provider: "razorpay", order: order.id });
  const verifies = (payment_id) =>
    validatePaymentVerification({ order_id: order.id, payment_id }, back.razorpay_signature, keys.keySecret);
  assert.ok(verifies(back.razorpay_payment_id));
  assert.ok(!verifies("pay_another"));

  const refund = { do: "refund", provider: "razorpay", payment: back.razorpay_payment_id, amount: 100 };
  await run(refund);
  await run({ ...refund, do: "dispute" });
  const events = await run({ do: "webhooks", provider: "razorpay" });
  assert.deepEqual(
    events.map(({ kind }) => kind),
    [
      ...["payment.authorized", "payment.captured", "order.paid"],
      ...["refund.created", "refund.processed", "payment.dispute.created"],
    ],
  );
  for (const { kind, headers, body } of events) {
    assert.equal(JSON.parse(body).event, kind);
    const signature = headers["X-Razorpay-Signature"];
    assert.ok(validateWebhookSignature(body, signature, keys.webhookSecret), kind);
    assert.ok(!validateWebhookSignature(`${body} `, signature, keys.webhookSecret), kind);
    assert.ok(headers["x-razorpay-event-id"], kind);
  }
});

test("the crate and the library agree on signatures", async (t) => {
  const { razorpay: keys, run } = await startFakes(t);
  const body = JSON.stringify({ entity: "event", event: "invoice.paid", payload: {}, note: "₹ 499 – नमस्ते" });
  const secret = "a secret with ünicode";
  for (const [name, signature] of [
    ["right", sign(body, secret)],
    ["of another secret", sign(body, "another")],
    ["of another body", sign(`${body}\n`, secret)],
    ["cut", sign(body, secret).slice(2)],
    ["blank", ""],
  ]) {
    const headers = { "X-Razorpay-Signature": signature };
    const { error } = await run({ do: "verify", provider: "razorpay", secret, headers, body });
    assert.equal(error === undefined, validateWebhookSignature(body, signature, secret), `${name}: ${error}`);
  }

  const [order, payment] = ["order_1", "pay_1"];
  for (const signature of [
    sign(`${order}|${payment}`, keys.keySecret),
    sign(`${payment}|${order}`, keys.keySecret),
    sign(`${order}${payment}`, keys.keySecret),
  ]) {
    const { error } = await run({ do: "verifyReturn", order, payment, signature, secret: keys.keySecret });
    const library = validatePaymentVerification({ order_id: order, payment_id: payment }, signature, keys.keySecret);
    assert.equal(error === null, library, String(error));
  }
});
