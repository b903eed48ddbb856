//! The calls to Razorpay.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    Razorpay,
    wire::{Collection, ORDER_NOTE, Order, Payment, REFUND_NOTE, Refund},
};
use crate::{
    Amount, CancelOutcome, Capture, ClientParameters, ClientReturn, CreatedPayment, NewPayment,
    PaymentProvider, PaymentReport, ProviderError, ProviderName, RefundReport, ReturnError, Webhook,
    WebhookError,
    http::{Call, Repeat},
    money,
    provider::{check_id, check_reference, unknown_without_look, unreadable, unreadable_write},
    signature,
};

/// Number of items that one request for a list asks for.
const PAGE: usize = 100;
/// Maximum number of items that are read of one list.
const MAX_ITEMS: usize = 1_000;
/// Number of minutes after the creation of a payment in which Razorpay captures it by itself. A payment that the bank
/// authorizes later stays authorized, because the order may be void by then. Then a captured payment would have to be
/// refunded, with fees.
const AUTOMATIC_CAPTURE_MINUTES: u32 = 30;
/// Number of minutes in which an authorized payment can be captured. After them, Razorpay gives the money back. Its
/// documentation allows three days in one place and five days in another, so this is three days.
const CAPTURE_MINUTES: u32 = 3 * 24 * 60;

impl Razorpay {
    fn created(&self, order: Order) -> CreatedPayment {
        CreatedPayment { client: self.parameters(order.id.clone()), provider_order: order.id }
    }

    fn parameters(&self, order_id: String) -> ClientParameters {
        ClientParameters::Razorpay { key_id: self.key_id.clone(), order_id }
    }

    async fn post_order(&self, new: &NewPayment<'_>) -> Result<Order, ProviderError> {
        check_reference(new.order_reference)?;
        let amount = money::to_provider(ProviderName::Razorpay, new.money)?;
        let capture = match new.capture {
            Capture::Automatic => json!({
                "capture": "automatic",
                "capture_options": {
                    "automatic_expiry_period": AUTOMATIC_CAPTURE_MINUTES,
                    "manual_expiry_period": CAPTURE_MINUTES,
                    "refund_speed": "normal",
                },
            }),
            Capture::Manual => json!({
                "capture": "manual",
                "capture_options": { "manual_expiry_period": CAPTURE_MINUTES, "refund_speed": "normal" },
            }),
        };
        let body = json!({
            "amount": amount,
            "currency": new.money.currency,
            "receipt": new.order_reference,
            "notes": { ORDER_NOTE: new.order_reference, "description": new.description },
            "partial_payment": false,
            "payment": capture,
        });
        // Razorpay has no idempotency keys for orders, so a repetition could create a second order.
        self.http.call(Call::post("/v1/orders".to_owned(), Repeat::Never).json(&body)).await
    }

    async fn get_payment(&self, payment: &str) -> Result<Payment, ProviderError> {
        self.http.call(Call::get(format!("/v1/payments/{}", check_id(payment)?))).await
    }

    /// Reads all pages of a list. Returns an error if the list has more than [`MAX_ITEMS`] items.
    async fn list<T: serde::de::DeserializeOwned>(&self, path: String) -> Result<Vec<T>, ProviderError> {
        let mut all = Vec::new();
        while all.len() <= MAX_ITEMS {
            let call =
                Call::get(path.clone()).query("count", PAGE.to_string()).query("skip", all.len().to_string());
            let Collection { items } = self.http.call(call).await?;
            // A full page may be the last page. Razorpay does not mark the last page, but the page after it is empty.
            let is_last = items.len() < PAGE;
            all.extend(items);
            if is_last && all.len() <= MAX_ITEMS {
                return Ok(all);
            }
        }
        Err(unreadable(format!("the list has more than {MAX_ITEMS} items, which are too many to read")))
    }
}

#[async_trait]
impl PaymentProvider for Razorpay {
    fn name(&self) -> ProviderName {
        ProviderName::Razorpay
    }

    async fn create(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError> {
        Ok(self.created(self.post_order(new).await?))
    }

    async fn create_again(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError> {
        check_reference(new.order_reference)?;
        let amount = money::to_provider(ProviderName::Razorpay, new.money)?;
        let call = Call::get("/v1/orders".to_owned())
            .query("receipt", new.order_reference)
            .query("count", PAGE.to_string());
        let Collection::<Order> { mut items } = self.http.call(call).await?;
        items.retain(|order| {
            order.receipt.as_deref() == Some(new.order_reference)
                && order.amount == amount
                && order.currency == new.money.currency
        });
        // Two orders with the same receipt exist if an earlier request to create the order was only slow. The buyer may
        // have tried to pay one of the two, so an order that is no longer `created` comes first.
        items.sort_by_key(|order| (order.status == "created", order.created_at));
        match items.into_iter().next() {
            Some(order) => Ok(self.created(order)),
            None => self.create(new).await,
        }
    }

    async fn client_parameters(&self, provider_order: &str) -> Result<ClientParameters, ProviderError> {
        Ok(self.parameters(check_id(provider_order)?.to_owned()))
    }

    async fn fetch(&self, provider_order: &str) -> Result<Vec<PaymentReport>, ProviderError> {
        let call = Call::get(format!("/v1/orders/{}/payments", check_id(provider_order)?));
        let Collection::<Payment> { items } = self.http.call(call).await?;
        let reports = items.into_iter().map(|payment| payment.report(None)).collect::<Result<Vec<_>, _>>();
        let mut reports = reports.map_err(unreadable)?;
        reports.sort_by_key(|report| report.created_at);
        Ok(reports)
    }

    async fn capture(&self, payment: &str, money: &Amount) -> Result<PaymentReport, ProviderError> {
        let amount = money::to_provider(ProviderName::Razorpay, money)?;
        let path = format!("/v1/payments/{}/capture", check_id(payment)?);
        let body = json!({ "amount": amount, "currency": money.currency });
        // Razorpay refuses a second capture of a payment, so repeating the request is harmless.
        match self.http.call::<Payment>(Call::post(path, Repeat::Harmless).json(&body)).await {
            Ok(captured) => captured.report(None).map_err(unreadable_write),
            Err(refusal @ ProviderError::Refused { status: 400, .. }) => {
                let present = self.get_payment(payment).await.map_err(unknown_without_look)?;
                if present.is_captured() { present.report(None).map_err(unreadable) } else { Err(refusal) }
            }
            Err(error) => Err(error),
        }
    }

    async fn cancel(&self, provider_order: &str) -> Result<CancelOutcome, ProviderError> {
        check_id(provider_order)?;
        Ok(CancelOutcome::StaysPayable)
    }

    async fn refund(
        &self,
        payment: &str,
        money: &Amount,
        reference: &str,
    ) -> Result<RefundReport, ProviderError> {
        check_reference(reference)?;
        let amount = money::to_provider(ProviderName::Razorpay, money)?;
        let path = format!("/v1/payments/{}/refund", check_id(payment)?);
        let body = json!({
            "amount": amount,
            "speed": "normal",
            "receipt": reference,
            "notes": { REFUND_NOTE: reference },
        });
        let call = Call::post(path, Repeat::Harmless)
            .header("X-Refund-Idempotency", signature::key_of("refund", reference))
            .json(&body);
        self.http.call::<Refund>(call).await?.report(None).map_err(unreadable_write)
    }

    async fn refunds(&self, payment: &str) -> Result<Vec<RefundReport>, ProviderError> {
        let refunds = self.list::<Refund>(format!("/v1/payments/{}/refunds", check_id(payment)?)).await?;
        let reports = refunds.into_iter().map(|refund| refund.report(None)).collect::<Result<Vec<_>, _>>();
        let mut reports = reports.map_err(unreadable)?;
        reports.sort_by_key(|report| report.created_at);
        Ok(reports)
    }

    fn verify_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
        _now: DateTime<Utc>,
    ) -> Result<Webhook, WebhookError> {
        self.read_webhook(headers, body)
    }

    fn verify_return(&self, returned: &ClientReturn) -> Result<(), ReturnError> {
        self.check_return(returned)
    }
}
