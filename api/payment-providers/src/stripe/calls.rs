//! The calls to Stripe.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Stripe,
    wire::{List, ORDER_KEY, PaymentIntent, REFUND_KEY, Refund},
};
use crate::{
    Amount, CancelOutcome, Capture, ClientParameters, ClientReturn, CreatedPayment, NewPayment,
    PaymentProvider, PaymentReport, PaymentState, ProviderError, ProviderName, RefundReport, ReturnError,
    Webhook, WebhookError,
    http::{Call, Repeat},
    money,
    provider::{check_id, check_reference, unknown_without_look, unreadable, unreadable_write},
    signature,
};

/// Maximum number of pages of a payment's refunds, with 100 refunds each. If a payment has more, the read fails.
const MAX_PAGES: usize = 10;
/// Stripe's code for a request that is refused because the payment is not in the state that the request needs.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";

impl Stripe {
    /// Makes a call that writes, with an idempotency key. If the call is repeated within a day, Stripe returns the
    /// outcome of the first request again.
    fn post(path: &str, key: String, form: &[(&str, &str)]) -> Call {
        Call::post(path.to_owned(), Repeat::Harmless).header("Idempotency-Key", key).form(form)
    }

    async fn get_intent(&self, provider_order: &str) -> Result<PaymentIntent, ProviderError> {
        let call = Call::get(format!("/v1/payment_intents/{}", check_id(provider_order)?))
            .query("expand[]", "latest_charge");
        self.http.call(call).await
    }

    /// Returns the parameters for the frontend. Returns `None` if Stripe sent no client secret.
    fn parameters(&self, intent: &PaymentIntent) -> Option<ClientParameters> {
        let client_secret = intent.client_secret.clone()?;
        Some(ClientParameters::Stripe { publishable_key: self.publishable_key.clone(), client_secret })
    }

    async fn post_intent(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError> {
        check_reference(new.order_reference)?;
        let amount = money::to_provider(ProviderName::Stripe, new.money)?.to_string();
        let currency = new.money.currency.to_ascii_lowercase();
        let metadata = format!("metadata[{ORDER_KEY}]");
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("automatic_payment_methods[enabled]", "true"),
            ("description", new.description),
            (&metadata, new.order_reference),
        ];
        if new.capture == Capture::Manual {
            form.push(("capture_method", "manual"));
        }
        let call = Self::post("/v1/payment_intents", signature::key_of("create", new.idempotency_key), &form);
        let intent: PaymentIntent = self.http.call(call).await?;
        let client = self
            .parameters(&intent)
            .ok_or_else(|| unreadable_write("the created payment has no client secret".to_owned()))?;
        Ok(CreatedPayment { provider_order: intent.id, client })
    }
}

#[async_trait]
impl PaymentProvider for Stripe {
    fn name(&self) -> ProviderName {
        ProviderName::Stripe
    }

    async fn create(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError> {
        self.post_intent(new).await
    }

    async fn create_again(&self, new: &NewPayment<'_>) -> Result<CreatedPayment, ProviderError> {
        // The idempotency key makes Stripe return the payment of the earlier call. After a day, Stripe creates a new
        // payment instead. Then the earlier payment is lost, and nobody can pay it, because nobody has its client
        // secret.
        self.post_intent(new).await
    }

    async fn client_parameters(&self, provider_order: &str) -> Result<ClientParameters, ProviderError> {
        let intent = self.get_intent(provider_order).await?;
        self.parameters(&intent).ok_or_else(|| unreadable("the payment has no client secret".to_owned()))
    }

    async fn fetch(&self, provider_order: &str) -> Result<Vec<PaymentReport>, ProviderError> {
        let report = self.get_intent(provider_order).await?.report(None).map_err(unreadable)?;
        Ok(vec![report])
    }

    async fn capture(&self, payment: &str, money: &Amount) -> Result<PaymentReport, ProviderError> {
        let amount = money::to_provider(ProviderName::Stripe, money)?.to_string();
        let path = format!("/v1/payment_intents/{}/capture", check_id(payment)?);
        let form = [("amount_to_capture", amount.as_str()), ("expand[]", "latest_charge")];
        // Stripe refuses a second capture of a payment, so two calls do not need the same idempotency key. With the
        // same key, Stripe would repeat an early refusal for a day.
        match self.http.call::<PaymentIntent>(Self::post(&path, signature::fresh_key(), &form)).await {
            Ok(intent) => intent.report(None).map_err(unreadable_write),
            Err(refusal @ ProviderError::Refused { .. }) if has_code(&refusal, UNEXPECTED_STATE) => {
                let present = self.get_intent(payment).await.map_err(unknown_without_look)?;
                let present = present.report(None).map_err(unreadable)?;
                if present.state == PaymentState::Captured { Ok(present) } else { Err(refusal) }
            }
            Err(error) => Err(error),
        }
    }

    async fn cancel(&self, provider_order: &str) -> Result<CancelOutcome, ProviderError> {
        let path = format!("/v1/payment_intents/{}/cancel", check_id(provider_order)?);
        let call = Self::post(&path, signature::fresh_key(), &[("cancellation_reason", "abandoned")]);
        match self.http.call::<PaymentIntent>(call).await {
            Ok(_) => Ok(CancelOutcome::Cancelled),
            Err(refusal @ ProviderError::Refused { .. }) if has_code(&refusal, UNEXPECTED_STATE) => {
                let present = self.get_intent(provider_order).await.map_err(unknown_without_look)?;
                match present.status.as_str() {
                    "canceled" => Ok(CancelOutcome::Cancelled),
                    "succeeded" => Ok(CancelOutcome::TooLate),
                    // The bank is still working on the payment, which may still succeed.
                    "processing" => Ok(CancelOutcome::StaysPayable),
                    _ => Err(refusal),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn refund(
        &self,
        payment: &str,
        money: &Amount,
        reference: &str,
    ) -> Result<RefundReport, ProviderError> {
        check_reference(reference)?;
        let amount = money::to_provider(ProviderName::Stripe, money)?.to_string();
        let metadata = format!("metadata[{REFUND_KEY}]");
        let form = [
            ("payment_intent", check_id(payment)?),
            ("amount", amount.as_str()),
            ("reason", "requested_by_customer"),
            (metadata.as_str(), reference),
        ];
        let call = Self::post("/v1/refunds", signature::key_of("refund", reference), &form);
        let report = self.http.call::<Refund>(call).await?.report(None).map_err(unreadable_write)?;
        report.ok_or_else(|| unreadable_write("the refund names no payment".to_owned()))
    }

    async fn refunds(&self, payment: &str) -> Result<Vec<RefundReport>, ProviderError> {
        check_id(payment)?;
        let mut reports = Vec::new();
        let mut after = None::<String>;
        for _ in 0..MAX_PAGES {
            let mut call =
                Call::get("/v1/refunds".to_owned()).query("payment_intent", payment).query("limit", "100");
            if let Some(after) = after {
                call = call.query("starting_after", after);
            }
            let page: List<Refund> = self.http.call(call).await?;
            after = page.data.last().map(|refund| refund.id.clone());
            for refund in page.data {
                reports.extend(refund.report(None).map_err(unreadable)?);
            }
            if !page.has_more {
                // Stripe lists the newest refund first.
                reports.reverse();
                return Ok(reports);
            }
        }
        Err(unreadable("the payment has more than 1,000 refunds".to_owned()))
    }

    fn verify_webhook(
        &self,
        headers: &(dyn Fn(&str) -> Option<String> + Sync),
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Webhook, WebhookError> {
        self.read_webhook(headers, body, now)
    }

    fn verify_return(&self, _returned: &ClientReturn) -> Result<(), ReturnError> {
        Err(ReturnError::NotSigned)
    }
}

fn has_code(error: &ProviderError, expected: &str) -> bool {
    matches!(error, ProviderError::Refused { code, .. } if code == expected)
}
