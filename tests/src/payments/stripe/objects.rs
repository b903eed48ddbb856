//! The objects of the fake of Stripe as JSON. The types of the npm package `stripe` check that no field is missing.

use serde_json::{Value, json};

use super::books::{StripeBooks, StripeCharge, StripeDispute, StripeIntent, StripeRefund};

/// The version of the API. The npm package `stripe` 23.1.0 has the same.
pub(super) const VERSION: &str = "2026-10-28.endive";

pub(super) fn event(id: &str, kind: &str, object: &Value, created: i64) -> Value {
    json!({
        "id": id, "object": "event", "api_version": VERSION, "created": created, "data": { "object": object },
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": kind,
    })
}

/// A PaymentIntent, with its charge as an object if `books` is given.
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
    json!({
        "id": intent.id, "object": "payment_intent", "allowed_payment_method_types": null, "amount": intent.amount,
        "amount_capturable": capturable, "amount_received": captured, "application": null,
        "application_fee_amount": null, "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "canceled_at": intent.canceled_at, "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method, "client_secret": intent.client_secret,
        "confirmation_method": "automatic", "created": intent.created, "currency": intent.currency,
        "customer": null, "customer_account": null, "description": intent.description,
        "excluded_payment_method_types": null, "last_payment_error": last_payment_error,
        "latest_charge": latest_charge, "livemode": false, "managed_payments": null, "metadata": intent.metadata,
        "next_action": null, "on_behalf_of": null,
        "payment_method": intent.charge.as_ref().filter(|charge| charge.succeeded).map(|_| "pm_3Fake"),
        "payment_method_configuration_details": null, "payment_method_options": {}, "payment_method_types": ["card"],
        "payment_record": null, "processing": null, "receipt_email": null, "review": null,
        "setup_future_usage": null, "shipping": null, "source": null, "statement_descriptor": null,
        "statement_descriptor_suffix": null, "status": intent.status, "transfer_group": null,
    })
}

pub(super) fn charge(charge: &StripeCharge, intent: &StripeIntent) -> Value {
    let status = if charge.succeeded { "succeeded" } else { "failed" };
    let failure = intent.failure.as_ref().filter(|_| !charge.succeeded);
    json!({
        "id": charge.id, "object": "charge", "amount": intent.amount, "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded, "application": null, "application_fee": null,
        "application_fee_amount": null, "balance_transaction": null,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "calculated_statement_descriptor": null, "captured": charge.amount_captured > 0, "created": charge.created,
        "currency": intent.currency, "customer": null, "description": intent.description,
        "disputed": charge.disputed, "failure_balance_transaction": null, "failure_code": failure,
        "failure_message": failure.map(|_| "Your card was declined."), "fraud_details": {}, "livemode": false,
        "metadata": intent.metadata, "on_behalf_of": null, "outcome": null, "paid": charge.succeeded,
        "payment_intent": intent.id, "payment_method": "pm_3Fake",
        "payment_method_details": { "type": "card" }, "receipt_email": null, "receipt_number": null,
        "receipt_url": null, "refunded": charge.amount_captured > 0 && charge.amount_refunded == charge.amount_captured,
        "review": null, "shipping": null, "source": null, "source_transfer": null, "statement_descriptor": null,
        "statement_descriptor_suffix": null, "status": status, "transfer_data": null, "transfer_group": null,
    })
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

pub(super) fn dispute(dispute: &StripeDispute, intent: &StripeIntent) -> Value {
    json!({
        "id": dispute.id, "object": "dispute", "amount": dispute.amount, "balance_transactions": [],
        "charge": intent.charge.as_ref().map(|charge| charge.id.as_str()), "created": dispute.created,
        "currency": intent.currency, "enhanced_eligibility_types": [],
        "evidence": {
            "access_activity_log": null, "billing_address": null, "cancellation_policy": null,
            "cancellation_policy_disclosure": null, "cancellation_rebuttal": null, "customer_communication": null,
            "customer_email_address": null, "customer_name": null, "customer_purchase_ip": null,
            "customer_signature": null, "duplicate_charge_documentation": null, "duplicate_charge_explanation": null,
            "duplicate_charge_id": null, "enhanced_evidence": {}, "product_description": null, "receipt": null,
            "refund_policy": null, "refund_policy_disclosure": null, "refund_refusal_explanation": null,
            "service_date": null, "service_documentation": null, "shipping_address": null, "shipping_carrier": null,
            "shipping_date": null, "shipping_documentation": null, "shipping_tracking_number": null,
            "uncategorized_file": null, "uncategorized_text": null,
        },
        "evidence_details": {
            "due_by": dispute.created + 604_800, "enhanced_eligibility": {}, "has_evidence": false,
            "past_due": false, "submission_count": 0, "submission_method": "manual",
        },
        "intended_submission_method": null, "is_charge_refundable": false, "livemode": false, "metadata": {},
        "payment_intent": dispute.intent, "reason": "product_not_received", "status": dispute.status,
    })
}
