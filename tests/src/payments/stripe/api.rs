//! The endpoints of the fake of Stripe.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::books::{StripeBooks, StripeIntent, StripeRefund};
use super::{Account, FakeStripe, Outcome, error, lock, objects};
use crate::payments::server::{Api, Reply, SeenRequest};

/// A refusal: the HTTP status and the body.
type Refusal = (u16, Value);

/// Minimum amounts of a payment in some currencies, in the smallest unit of the currency. In other currencies the
/// minimum is 1.
const MIN_AMOUNTS: [(&str, i64); 4] = [("inr", 50), ("usd", 50), ("eur", 50), ("jpy", 50)];

fn invalid(code: Option<&str>, message: &str) -> Refusal {
    (400, error("invalid_request_error", code, message))
}

fn missing(what: &str) -> Refusal {
    (404, error("invalid_request_error", Some("resource_missing"), &format!("No such {what}")))
}

fn unexpected_state(message: &str) -> Refusal {
    invalid(Some("payment_intent_unexpected_state"), message)
}

impl Api for Account {
    fn answer(&self, request: &SeenRequest) -> Reply {
        if request.header("authorization") != Some(&format!("Bearer {}", FakeStripe::SECRET_KEY)) {
            return Reply::new(
                401,
                error("invalid_request_error", None, "Invalid API Key provided: sk_test_****"),
            );
        }
        if request.method != "POST" {
            return reply(self.read(request));
        }
        let Some(key) = request.header("idempotency-key") else {
            return reply(self.write(request));
        };
        // The lock is held for the whole request, so that a second request with the same key waits for the first.
        let mut outcomes = lock(&self.outcomes);
        if let Some(outcome) = outcomes.get(key) {
            if outcome.path != request.path || outcome.body != request.body {
                let message = "Keys for idempotent requests can only be used with the same parameters.";
                return Reply::new(400, error("idempotency_error", None, message));
            }
            let mut replayed = Reply::new(outcome.status, outcome.answer.clone());
            replayed.headers.push(("idempotent-replayed", "true".to_owned()));
            return replayed;
        }
        let first = reply(self.write(request));
        let outcome = Outcome {
            path: request.path.clone(),
            body: request.body.clone(),
            status: first.status,
            answer: first.body.clone(),
        };
        outcomes.insert(key.to_owned(), outcome);
        first
    }

    fn error(&self, status: u16) -> Value {
        match status {
            429 => error("invalid_request_error", Some("rate_limit"), "Too many requests"),
            _ => error("api_error", None, "An error occurred on Stripe's side."),
        }
    }
}

fn reply(outcome: Result<Value, Refusal>) -> Reply {
    match outcome {
        Ok(body) => Reply::new(200, body),
        Err((status, body)) => Reply::new(status, body),
    }
}

/// Returns the metadata of a form, from its fields `metadata[name]`.
fn metadata(form: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    form.iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
}

impl Account {
    fn read(&self, request: &SeenRequest) -> Result<Value, Refusal> {
        let mut books = self.books();
        match request.segments().as_slice() {
            ["payment_intents", id] => {
                books.intent_mut(id).ok_or_else(|| missing("payment_intent"))?;
                let expand = request.query.values().any(|value| value == "latest_charge");
                Ok(objects::intent(books.intent(id), expand.then_some(&*books)))
            }
            ["refunds"] => self.list_refunds(&books, request),
            ["refunds", id] => {
                let refund = books.refunds.iter().find(|refund| refund.id == *id);
                let refund = refund.ok_or_else(|| missing("refund"))?;
                Ok(objects::refund(refund, books.intent(&refund.intent)))
            }
            _ => Err((404, error("invalid_request_error", None, "Unrecognized request URL"))),
        }
    }

    fn list_refunds(&self, books: &StripeBooks, request: &SeenRequest) -> Result<Value, Refusal> {
        let limit = request.query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(10_usize);
        let intent = request.query.get("payment_intent");
        let mut newest: Vec<&StripeRefund> = books
            .refunds
            .iter()
            .rev()
            .filter(|refund| intent.is_none_or(|id| *id == refund.intent))
            .collect();
        if let Some(after) = request.query.get("starting_after") {
            let position =
                newest.iter().position(|refund| refund.id == *after).ok_or_else(|| missing("refund"))?;
            newest.drain(..=position);
        }
        let has_more = newest.len() > limit;
        newest.truncate(limit);
        let data: Vec<Value> =
            newest.iter().map(|refund| objects::refund(refund, books.intent(&refund.intent))).collect();
        Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/refunds" }))
    }

    fn write(&self, request: &SeenRequest) -> Result<Value, Refusal> {
        let mut books = self.books();
        let form = request.form();
        match request.segments().as_slice() {
            ["payment_intents"] => self.create(&mut books, &form),
            ["payment_intents", id, "capture"] => self.capture(&mut books, id, &form),
            ["payment_intents", id, "cancel"] => self.cancel(&mut books, id, &form),
            ["refunds"] => self.refund(&mut books, &form),
            _ => Err((404, error("invalid_request_error", None, "Unrecognized request URL"))),
        }
    }

    fn create(&self, books: &mut StripeBooks, form: &BTreeMap<String, String>) -> Result<Value, Refusal> {
        let known =
            ["amount", "currency", "automatic_payment_methods[enabled]", "description", "capture_method"];
        if let Some(name) =
            form.keys().find(|name| !known.contains(&name.as_str()) && !name.starts_with("metadata["))
        {
            return Err(invalid(Some("parameter_unknown"), &format!("Received unknown parameter: {name}")));
        }
        let amount =
            form.get("amount").and_then(|text| text.parse::<i64>().ok()).filter(|amount| *amount > 0);
        let amount =
            amount.ok_or_else(|| invalid(Some("parameter_invalid_integer"), "Invalid positive integer"))?;
        let currency = form.get("currency").filter(|code| code.len() == 3 && **code == code.to_lowercase());
        let currency = currency.ok_or_else(|| invalid(None, "Invalid currency"))?;
        let min = MIN_AMOUNTS.iter().find(|(code, _)| code == currency).map_or(1, |(_, min)| *min);
        if amount < min {
            return Err(invalid(Some("amount_too_small"), "Amount must convert to at least 50 cents"));
        }
        let wrong_digit = match currency.as_str() {
            "isk" | "ugx" => amount % 100 != 0,
            "bhd" | "jod" | "kwd" | "omr" | "tnd" => amount % 10 != 0,
            _ => false,
        };
        if wrong_digit {
            return Err(invalid(Some("invalid_charge_amount"), "Invalid amount for this currency"));
        }
        let id = self.id("pi");
        let intent = StripeIntent {
            client_secret: format!("{id}_secret_Fake"),
            id: id.clone(),
            amount,
            currency: currency.clone(),
            capture_method: form
                .get("capture_method")
                .cloned()
                .unwrap_or_else(|| "automatic_async".to_owned()),
            status: "requires_payment_method",
            description: form.get("description").cloned(),
            metadata: metadata(form),
            charge: None,
            failure: None,
            canceled_at: None,
            cancellation_reason: None,
            created: self.now(),
        };
        let answer = objects::intent(&intent, None);
        books.intents.push(intent);
        self.emit_intent("payment_intent.created", books, &id);
        Ok(answer)
    }

    pub(super) fn capture(
        &self,
        books: &mut StripeBooks,
        id: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        let intent = books.intent_mut(id).ok_or_else(|| missing("payment_intent"))?;
        if intent.status != "requires_capture" {
            return Err(unexpected_state("This PaymentIntent could not be captured because of its status."));
        }
        let amount =
            form.get("amount_to_capture").and_then(|text| text.parse().ok()).unwrap_or(intent.amount);
        if amount > intent.amount {
            return Err(invalid(
                Some("amount_too_large"),
                "The amount is greater than the capturable amount.",
            ));
        }
        intent.status = "succeeded";
        if let Some(charge) = intent.charge.as_mut() {
            charge.amount_captured = amount;
        }
        self.emit_charge("charge.captured", books, id);
        self.emit_intent("payment_intent.succeeded", books, id);
        let expand = form.values().any(|value| value == "latest_charge");
        Ok(objects::intent(books.intent(id), expand.then_some(&*books)))
    }

    pub(super) fn cancel(
        &self,
        books: &mut StripeBooks,
        id: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        let now = self.now();
        let intent = books.intent_mut(id).ok_or_else(|| missing("payment_intent"))?;
        if matches!(intent.status, "succeeded" | "canceled" | "processing") {
            return Err(unexpected_state("You cannot cancel this PaymentIntent because of its status."));
        }
        intent.status = "canceled";
        intent.canceled_at = Some(now);
        intent.cancellation_reason = form.get("cancellation_reason").cloned();
        self.emit_intent("payment_intent.canceled", books, id);
        Ok(objects::intent(books.intent(id), None))
    }

    pub(super) fn refund(
        &self,
        books: &mut StripeBooks,
        form: &BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        let id = form.get("payment_intent").cloned().unwrap_or_default();
        let intent = books.intent_mut(&id).ok_or_else(|| missing("payment_intent"))?;
        let captured = intent.charge.as_mut().filter(|charge| charge.amount_captured > 0);
        let Some(charge) = captured else {
            return Err(invalid(None, "This PaymentIntent does not have a successful charge to refund."));
        };
        let left = charge.amount_captured - charge.amount_refunded;
        if left == 0 {
            return Err(invalid(Some("charge_already_refunded"), "Charge has already been refunded."));
        }
        let amount =
            form.get("amount").map_or(Some(left), |text| text.parse().ok()).filter(|amount| *amount > 0);
        let amount =
            amount.ok_or_else(|| invalid(Some("parameter_invalid_integer"), "Invalid positive integer"))?;
        if amount > left {
            return Err(invalid(None, "Refund amount is greater than unrefunded amount on charge"));
        }
        charge.amount_refunded += amount;
        let refund = StripeRefund {
            id: self.id("re"),
            intent: id.clone(),
            amount,
            status: if *lock(&self.refunds_settle_later) { "pending" } else { "succeeded" },
            metadata: metadata(form),
            reason: form.get("reason").cloned(),
            created: self.now(),
        };
        let answer = objects::refund(&refund, books.intent(&id));
        books.refunds.push(refund);
        self.emit("refund.created", &answer);
        self.emit_charge("charge.refunded", books, &id);
        Ok(answer)
    }
}
