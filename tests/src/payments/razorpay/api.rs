//! The endpoints of the fake of Razorpay.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::books::{RazorpayBooks, RazorpayOrder, RazorpayPayment, RazorpayRefund};
use super::{Account, FakeRazorpay, now};
use crate::payments::server::{Api, Reply, SeenRequest};

/// Minimum amount of an order in INR, in paise: 1 rupee.
const MIN_PAISE: i64 = 100;

/// A refusal: the HTTP status, the sentence that explains the refusal, and the name of the wrong field, if there is
/// one.
type Refusal = (u16, String, Option<&'static str>);

fn refusal(sentence: &str) -> Refusal {
    (400, sentence.to_owned(), None)
}

impl Api for Account {
    fn answer(&self, request: &SeenRequest) -> Reply {
        let credentials = STANDARD.encode(format!("{}:{}", FakeRazorpay::KEY_ID, FakeRazorpay::KEY_SECRET));
        if request.header("authorization") != Some(&format!("Basic {credentials}")) {
            return Reply::new(401, error("BAD_REQUEST_ERROR", "Authentication failed", None));
        }
        match self.route(request) {
            Ok(body) => Reply::new(200, body),
            Err((status, sentence, field)) => {
                Reply::new(status, error("BAD_REQUEST_ERROR", &sentence, field))
            }
        }
    }

    fn error(&self, status: u16) -> Value {
        match status {
            429 => error("BAD_REQUEST_ERROR", "Request failed. Please try after sometime.", None),
            502 | 504 => error("GATEWAY_ERROR", "The gateway did not answer.", None),
            _ => error("SERVER_ERROR", "We are facing some trouble completing your request.", None),
        }
    }
}

fn error(code: &str, description: &str, field: Option<&str>) -> Value {
    json!({ "error": {
        "code": code, "description": description, "source": "business", "step": "payment_initiation",
        "reason": if field.is_some() { "input_validation_failed" } else { "NA" }, "metadata": {}, "field": field,
    } })
}

fn collection(request: &SeenRequest, items: impl Iterator<Item = Value>) -> Value {
    let number = |name: &str| request.query.get(name).and_then(|text| text.parse().ok());
    let (skip, count) = (number("skip").unwrap_or(0), number("count").unwrap_or(10).min(100));
    let items: Vec<Value> = items.skip(skip).take(count).collect();
    json!({ "entity": "collection", "count": items.len(), "items": items })
}

impl Account {
    fn route(&self, request: &SeenRequest) -> Result<Value, Refusal> {
        let missing = || refusal("The id provided does not exist");
        let mut books = self.books();
        match (request.method.as_str(), request.segments().as_slice()) {
            ("POST", ["orders"]) => self.create_order(&mut books, &request.json()),
            ("GET", ["orders"]) => {
                let receipt = request.query.get("receipt");
                let fits = |order: &&RazorpayOrder| receipt.is_none() || order.receipt.as_ref() == receipt;
                Ok(collection(request, books.orders.iter().rev().filter(fits).map(RazorpayOrder::json)))
            }
            ("GET", ["orders", id]) => books.find_order(id).map(RazorpayOrder::json).ok_or_else(missing),
            ("GET", ["orders", id, "payments"]) => {
                let order = books.find_order(id).ok_or_else(missing)?;
                let items: Vec<Value> = books.payments_of(order).rev().map(RazorpayPayment::json).collect();
                Ok(json!({ "entity": "collection", "count": items.len(), "items": items }))
            }
            ("GET", ["payments", id]) => {
                books.find_payment(id).map(RazorpayPayment::json).ok_or_else(missing)
            }
            ("POST", ["payments", id, "capture"]) => self.capture(&mut books, id, &request.json()),
            ("POST", ["payments", id, "refund"]) => self.refund(&mut books, id, request),
            ("GET", ["payments", id, "refunds"]) => {
                let payment = books.find_payment(id).ok_or_else(missing)?;
                Ok(collection(request, books.refunds_of(payment).rev().map(RazorpayRefund::json)))
            }
            ("GET", ["refunds", id]) => books.refund_mut(id).map(|refund| refund.json()).ok_or_else(missing),
            _ => Err((404, "The requested URL was not found on the server.".to_owned(), None)),
        }
    }

    fn create_order(&self, books: &mut RazorpayBooks, body: &Value) -> Result<Value, Refusal> {
        let wrong = |sentence: &str, field| Err((400, sentence.to_owned(), Some(field)));
        let Some(amount) = body["amount"].as_i64().filter(|amount| *amount > 0) else {
            return wrong("The amount must be an integer.", "amount");
        };
        let Some(currency) = body["currency"].as_str().filter(|code| code.len() == 3) else {
            return wrong("The currency field is required.", "currency");
        };
        if currency == "INR" && amount < MIN_PAISE {
            return wrong("The amount must be at least INR 1.00", "amount");
        }
        if matches!(currency, "KWD" | "BHD" | "OMR") && amount % 10 != 0 {
            return wrong("The last digit of the amount must be 0.", "amount");
        }
        let receipt = body["receipt"].as_str();
        if receipt.is_some_and(|receipt| receipt.chars().count() > 40) {
            return wrong("The receipt may not be greater than 40 characters.", "receipt");
        }
        let notes = &body["notes"];
        if notes.as_object().is_some_and(|notes| notes.len() > 15) {
            return wrong("The notes may not have more than 15 items.", "notes");
        }
        let capture = &body["payment"];
        if capture["capture"] == "automatic"
            && capture["capture_options"]["automatic_expiry_period"]
                .as_i64()
                .is_none_or(|minutes| minutes < 12)
        {
            return wrong("The automatic expiry period must be at least 12.", "automatic_expiry_period");
        }
        let order = RazorpayOrder {
            id: self.id("order"),
            amount,
            currency: currency.to_owned(),
            receipt: receipt.map(str::to_owned),
            // Razorpay returns empty notes as an empty array.
            notes: if notes.as_object().is_some_and(|notes| !notes.is_empty()) {
                notes.clone()
            } else {
                json!([])
            },
            captures: capture["capture"] != "manual",
            status: "created",
            attempts: 0,
            payments: Vec::new(),
            created_at: now(),
        };
        let answer = order.json();
        books.orders.push(order);
        Ok(answer)
    }

    pub(super) fn capture(
        &self,
        books: &mut RazorpayBooks,
        id: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let payment = books.payment_mut(id).ok_or_else(|| refusal("The id provided does not exist"))?.clone();
        if payment.captured {
            return Err(refusal("This payment has already been captured"));
        }
        if payment.status != "authorized" {
            return Err(refusal(
                "Only payments which have been authorized and not yet captured can be captured",
            ));
        }
        if body["amount"] != payment.amount || body["currency"] != payment.currency {
            return Err(refusal("Capture amount must be equal to the amount authorized"));
        }
        if books.order(&payment.order_id).status == "paid" {
            return Err(refusal("Payment already done for this order."));
        }
        self.set_captured(books, id);
        Ok(books.payment(id).json())
    }

    /// Marks a payment as captured and its order as paid. Puts the events `payment.captured` and `order.paid` into the
    /// outbox.
    pub(super) fn set_captured(&self, books: &mut RazorpayBooks, id: &str) {
        let payment = books.payment_mut(id).expect("the payment is there");
        payment.status = "captured";
        payment.captured = true;
        let payment = payment.clone();
        let order = books.order_mut(&payment.order_id).expect("the order is there");
        order.status = "paid";
        self.emit("payment.captured", &[("payment", payment.json())]);
        self.emit("order.paid", &[("payment", payment.json()), ("order", order.json())]);
    }

    fn refund(&self, books: &mut RazorpayBooks, id: &str, request: &SeenRequest) -> Result<Value, Refusal> {
        let key = request.header("x-refund-idempotency").map(str::to_owned);
        if let Some(key) = &key {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if key.len() < 10 || !key.bytes().all(allowed) {
                return Err(refusal("The idempotency key is not valid."));
            }
            if let Some((path, body, refund)) = books.refund_keys.get(key).cloned() {
                if path != request.path || body != request.body {
                    return Err(refusal("Different request body for the same idempotency key."));
                }
                return Ok(books.refund_mut(&refund).expect("the refund is there").json());
            }
        }
        let body = request.json();
        let receipt = body["receipt"].as_str().map(str::to_owned);
        let refund = self.make_refund(books, id, body["amount"].as_i64(), receipt, body["notes"].clone())?;
        if let Some(key) = key {
            books.refund_keys.insert(key, (request.path.clone(), request.body.clone(), refund.id.clone()));
        }
        Ok(refund.json())
    }

    /// Refunds this amount of a captured payment. If `amount` is None, refunds the amount that is not refunded yet.
    /// Puts the events of the refund into the outbox.
    pub(super) fn make_refund(
        &self,
        books: &mut RazorpayBooks,
        id: &str,
        amount: Option<i64>,
        receipt: Option<String>,
        notes: Value,
    ) -> Result<RazorpayRefund, Refusal> {
        let later = *self.refunds_settle_later.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let payment = books.payment_mut(id).ok_or_else(|| refusal("The id provided does not exist"))?;
        if payment.status == "refunded" {
            return Err(refusal("The payment has been fully refunded already"));
        }
        if payment.status != "captured" {
            return Err(refusal("The payment status should be captured for action to be taken"));
        }
        let left = payment.amount - payment.amount_refunded;
        let amount = amount.unwrap_or(left);
        if amount <= 0 {
            return Err(refusal("The amount must be at least 1."));
        }
        if amount > left {
            return Err(refusal("The total refund amount is greater than the refund payment amount"));
        }
        payment.amount_refunded += amount;
        if payment.amount_refunded == payment.amount {
            payment.status = "refunded";
        }
        let payment = payment.clone();
        let refund = RazorpayRefund {
            id: self.id("rfnd"),
            payment_id: id.to_owned(),
            amount,
            currency: payment.currency.clone(),
            receipt,
            notes: if notes.is_object() { notes } else { json!([]) },
            status: if later { "pending" } else { "processed" },
            created_at: now(),
        };
        books.add_refund(refund.clone());
        self.emit("refund.created", &[("refund", refund.json()), ("payment", payment.json())]);
        if !later {
            self.emit("refund.processed", &[("refund", refund.json()), ("payment", payment.json())]);
        }
        Ok(refund)
    }
}
