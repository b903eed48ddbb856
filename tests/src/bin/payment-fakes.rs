//! The fakes of Razorpay and Stripe, for tests in JavaScript and for developers of frontends.
//!
//! This program prints one line of JSON with the addresses and the keys of the fakes. Then it reads one command a line,
//! and answers each command with one line of JSON. It exits when standard input closes.
//!
//! | Command | Response |
//! |---|---|
//! | `{"do": "pay", "provider": "razorpay", "order": "order_…"}` | the parameters that Razorpay's Checkout gives to the page |
//! | `{"do": "payLate", …}` | the same parameters, for a payment that is not captured yet |
//! | `{"do": "fail", …}` | the id of the failed payment |
//! | `pay`, `payLate` and `fail` with `"provider": "stripe"` and `"order": "pi_…"` | `{}` |
//! | `{"do": "refund", "payment": …, "amount": …}`, `{"do": "dispute", …}` | the id of the new refund or dispute |
//! | `{"do": "webhooks", "provider": …}` | the webhooks since the last such command, with their headers and bodies |
//! | `{"do": "verify", "provider": …, "secret": …, "headers": {…}, "body": "…", "now": 1700000000}` | the event that `payment-providers` reads from a webhook, or its error |
//! | `{"do": "verifyReturn", "order": …, "payment": …, "signature": …, "secret": …}` | the error of `payment-providers` about returned parameters, or null |

#![expect(clippy::expect_used, reason = "a tool of the tests may panic at the first failure")]

use jishu_tests::payments::connect::{razorpay_config, stripe_config};
use jishu_tests::payments::{FakeRazorpay, FakeStripe, Outbox};
use payment_providers::{ClientReturn, PaymentProvider, Razorpay, Stripe};
use serde_json::{Map, Value, json};

struct Fakes {
    razorpay: FakeRazorpay,
    stripe: FakeStripe,
}

fn text<'a>(command: &'a Value, name: &str) -> &'a str {
    command[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {command}"))
}

fn amount(command: &Value) -> i64 {
    command["amount"].as_i64().expect("an amount")
}

fn webhooks(outbox: &Outbox) -> Value {
    let events = outbox.take();
    let line = |event: &jishu_tests::payments::UnsentWebhook| {
        let headers: Map<String, Value> =
            outbox.headers(event).into_iter().map(|(name, value)| (name, json!(value))).collect();
        json!({ "kind": event.kind, "headers": headers, "body": String::from_utf8_lossy(&event.body) })
    };
    events.iter().map(line).collect()
}

impl Fakes {
    fn run(&self, command: &Value) -> Value {
        let is_stripe = command["provider"] == "stripe";
        match text(command, "do") {
            "pay" | "payLate" if is_stripe => {
                self.stripe.customer_pays(text(command, "order"));
                json!({})
            }
            "fail" if is_stripe => {
                self.stripe.customer_fails(text(command, "order"), "insufficient_funds");
                json!({})
            }
            "refund" if is_stripe => {
                json!({ "refund": self.stripe.refund_at_console(text(command, "payment"), amount(command)) })
            }
            "dispute" if is_stripe => {
                json!({ "dispute": self.stripe.customer_disputes(text(command, "payment"), amount(command)) })
            }
            "webhooks" if is_stripe => webhooks(self.stripe.webhooks()),
            "verify" if is_stripe => {
                let mut config = stripe_config(&self.stripe);
                config.webhook_secrets = vec![text(command, "secret").into()];
                verify(&Stripe::new(config).expect("a provider"), command)
            }
            name @ ("pay" | "payLate") => {
                let order = text(command, "order");
                let back = if name == "pay" {
                    self.razorpay.customer_pays(order)
                } else {
                    self.razorpay.customer_pays_uncaptured(order)
                };
                json!({
                    "razorpay_order_id": back.order_id,
                    "razorpay_payment_id": back.payment_id,
                    "razorpay_signature": back.signature,
                })
            }
            "fail" => {
                json!({ "payment": self.razorpay.customer_fails(text(command, "order"), "payment_cancelled") })
            }
            "refund" => {
                json!({ "refund": self.razorpay.refund_at_console(text(command, "payment"), amount(command)) })
            }
            "dispute" => {
                json!({ "dispute": self.razorpay.customer_disputes(text(command, "payment"), amount(command)) })
            }
            "webhooks" => webhooks(self.razorpay.webhooks()),
            "verify" => {
                let mut config = razorpay_config(&self.razorpay);
                config.webhook_secrets = vec![text(command, "secret").into()];
                verify(&Razorpay::new(config).expect("a provider"), command)
            }
            "verifyReturn" => {
                let mut config = razorpay_config(&self.razorpay);
                config.key_secret = text(command, "secret").into();
                let returned = ClientReturn {
                    provider_order: text(command, "order").to_owned(),
                    payment: text(command, "payment").to_owned(),
                    signature: text(command, "signature").to_owned(),
                };
                let verdict = Razorpay::new(config).expect("a provider").verify_return(&returned);
                json!({ "error": verdict.err().map(|error| error.to_string()) })
            }
            other => panic!("the command {other} is unknown"),
        }
    }
}

fn verify(provider: &dyn PaymentProvider, command: &Value) -> Value {
    let headers = command["headers"].as_object().expect("headers");
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).map(str::to_owned)
    };
    let now = command["now"].as_i64().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    match provider.verify_webhook(
        &header,
        text(command, "body").as_bytes(),
        now.unwrap_or_else(chrono::Utc::now),
    ) {
        Ok(webhook) => json!({ "kind": webhook.kind, "event": format!("{:?}", webhook.event) }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

#[tokio::main]
async fn main() {
    let fakes = Fakes { razorpay: FakeRazorpay::start().await, stripe: FakeStripe::start().await };
    let start = json!({
        "razorpay": {
            "address": fakes.razorpay.address(), "keyId": FakeRazorpay::KEY_ID,
            "keySecret": FakeRazorpay::KEY_SECRET, "webhookSecret": FakeRazorpay::WEBHOOK_SECRET,
        },
        "stripe": {
            "address": fakes.stripe.address(), "publishableKey": FakeStripe::PUBLISHABLE_KEY,
            "secretKey": FakeStripe::SECRET_KEY, "webhookSecret": FakeStripe::WEBHOOK_SECRET,
        },
    });
    println!("{start}");
    // Reading standard input blocks only this thread. The fakes run on the other threads of the runtime.
    for line in std::io::stdin().lines() {
        let command =
            serde_json::from_str(&line.expect("standard input can be read")).expect("a command is JSON");
        println!("{}", fakes.run(&command));
    }
}
