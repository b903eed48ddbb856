//! The objects of the fake of Stripe as JSON. A test checks with the types of the npm package `stripe` that no field is
//! missing.

use serde_json::{Value, json};

use super::books::{StripeBooks, StripeCharge, StripeDispute, StripeIntent, StripeRefund};

/// The version of Stripe's API. The npm package `stripe` 23.1.0 uses the same version.
pub(super) const VERSION: &str = "2026-10-28.endive";

pub(super) fn event(id: &str, kind: &str, object: &Value, created: i64) -> Value {
    json!({
        "id": id, "object": "event", "api_version": VERSION, "created": created, "data": { "object": object },
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": kind,
    })
}

/// Sets these fields of an object to null.
fn with_nulls(mut object: Value, names: &[&str]) -> Value {
    for name in names {
        object[name] = Value::Null;
    }
    object
}

/// Returns a PaymentIntent as JSON. If `expand` is given, the field `latest_charge` is an object instead of an id.
pub(super) fn intent(intent: &StripeIntent, expand: Option<&StripeBooks>) -> Value {
    let captured = intent.charge.as_ref().map_or(0, |charge| charge.amount_captured);
    let capturable = if intent.status == "requires_capture" { intent.amount } else { 0 };
    let latest_charge = match (&intent.charge, expand) {
        (None, _) => Value::Null,
        (Some(made), Some(_)) => charge(made, intent),
        (Some(made), None) => json!(made.id),
    };
    let last_payment_error = intent.failure.as_ref().map(|code| {
        json!({
            "type": "card_error", "code": "card_declined", "decline_code": code, "message": "Your card was declined.",
            "charge": intent.charge.as_ref().map(|charge| charge.id.as_str()),
        })
    });
    let object = json!({
        "id": intent.id, "object": "payment_intent", "amount": intent.amount, "amount_capturable": capturable,
        "amount_received": captured,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "canceled_at": intent.canceled_at, "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method, "client_secret": intent.client_secret,
        "confirmation_method": "automatic", "created": intent.created, "currency": intent.currency,
        "description": intent.description, "last_payment_error": last_payment_error,
        "latest_charge": latest_charge, "livemode": false, "metadata": intent.metadata,
        "payment_method": intent.charge.as_ref().filter(|charge| charge.succeeded).map(|_| "pm_3Fake"),
        "payment_method_options": {}, "payment_method_types": ["card"], "status": intent.status,
    });
    with_nulls(
        object,
        &[
            "allowed_payment_method_types",
            "application",
            "application_fee_amount",
            "customer",
            "customer_account",
            "excluded_payment_method_types",
            "managed_payments",
            "next_action",
            "on_behalf_of",
            "payment_method_configuration_details",
            "payment_record",
            "processing",
            "receipt_email",
            "review",
            "setup_future_usage",
            "shipping",
            "source",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_group",
        ],
    )
}

pub(super) fn charge(charge: &StripeCharge, intent: &StripeIntent) -> Value {
    let status = if charge.succeeded { "succeeded" } else { "failed" };
    let failure = intent.failure.as_ref().filter(|_| !charge.succeeded);
    let refunded = charge.amount_captured > 0 && charge.amount_refunded == charge.amount_captured;
    let object = json!({
        "id": charge.id, "object": "charge", "amount": intent.amount, "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded, "billing_details": with_nulls(
            json!({}),
            &["address", "email", "name", "phone", "tax_id"],
        ),
        "captured": charge.amount_captured > 0, "created": charge.created, "currency": intent.currency,
        "description": intent.description, "disputed": charge.disputed, "failure_code": failure,
        "failure_message": failure.map(|_| "Your card was declined."), "fraud_details": {}, "livemode": false,
        "metadata": intent.metadata, "paid": charge.succeeded, "payment_intent": intent.id,
        "payment_method": "pm_3Fake", "payment_method_details": { "type": "card" }, "refunded": refunded,
        "status": status,
    });
    with_nulls(
        object,
        &[
            "application",
            "application_fee",
            "application_fee_amount",
            "balance_transaction",
            "calculated_statement_descriptor",
            "customer",
            "failure_balance_transaction",
            "on_behalf_of",
            "outcome",
            "receipt_email",
            "receipt_number",
            "receipt_url",
            "review",
            "shipping",
            "source",
            "source_transfer",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_data",
            "transfer_group",
        ],
    )
}

pub(super) fn refund(refund: &StripeRefund, intent: &StripeIntent) -> Value {
    let mut object = json!({
        "id": refund.id, "object": "refund", "amount": refund.amount, "balance_transaction": null,
        "charge": intent.charge.as_ref().map(|charge| charge.id.as_str()), "created": refund.created,
        "currency": intent.currency, "customer": null, "customer_account": null, "metadata": refund.metadata,
        "payment_intent": refund.intent, "payment_method": "pm_3Fake", "reason": refund.reason,
        "receipt_number": null, "source_transfer_reversal": null, "status": refund.status, "transfer_reversal": null,
    });
    if refund.status == "failed" {
        object["failure_reason"] = json!("expired_or_canceled_card");
    }
    object
}

/// The names of the evidence fields of a dispute at Stripe. The fake sends each as null.
const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

pub(super) fn dispute(dispute: &StripeDispute, intent: &StripeIntent) -> Value {
    json!({
        "id": dispute.id, "object": "dispute", "amount": dispute.amount, "balance_transactions": [],
        "charge": intent.charge.as_ref().map(|charge| charge.id.as_str()), "created": dispute.created,
        "currency": intent.currency, "enhanced_eligibility_types": [],
        "evidence": with_nulls(json!({ "enhanced_evidence": {} }), &EVIDENCE),
        "evidence_details": {
            "due_by": dispute.created + 604_800, "enhanced_eligibility": {}, "has_evidence": false,
            "past_due": false, "submission_count": 0, "submission_method": "manual",
        },
        "intended_submission_method": null, "is_charge_refundable": false, "livemode": false, "metadata": {},
        "payment_intent": dispute.intent, "reason": "product_not_received", "status": dispute.status,
    })
}
