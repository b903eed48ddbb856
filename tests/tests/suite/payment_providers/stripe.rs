//! Payments at a fake of Stripe: their steps, webhooks and their secrets, amounts, and long lists of refunds.

use jishu_tests::payments::connect::{stripe, stripe_config};
use jishu_tests::payments::{FakeStripe, hmac_hex};
use payment_providers::{
    Amount, CancelOutcome, Capture, ClientParameters, ClientReturn, DisputeState, NewPayment,
    PaymentProvider, PaymentState, ProviderError, RefundState, ReturnError, STRIPE_VERSION, Stripe,
    WebhookError, WebhookEvent,
};
use serde_json::json;

use super::{code, kinds, new, received, rupees, verify, verify_body};

#[tokio::test]
async fn a_payment_is_created_paid_refunded_and_disputed() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let money = rupees();

    let created = provider.create(&new("order-1", &money)).await.unwrap();
    let order = created.provider_order.as_str();
    let ClientParameters::Stripe { publishable_key, client_secret } = &created.client else {
        panic!("{created:?}");
    };
    assert_eq!(publishable_key, FakeStripe::PUBLISHABLE_KEY);
    assert_eq!(*client_secret, fake.books().intent(order).client_secret);
    assert!(
        !format!("{created:?}").contains(client_secret.as_str()),
        "the debug output shows the client secret"
    );
    assert_eq!(provider.client_parameters(order).await.unwrap(), created.client);
    assert_eq!(
        provider.create_again(&new("order-1", &money)).await.unwrap(),
        created,
        "the key did not find the payment that was created"
    );
    assert_eq!(fake.books().intents.len(), 1);
    for request in fake.requests() {
        assert_eq!(request.header("stripe-version"), Some(STRIPE_VERSION));
        assert_eq!(request.header("idempotency-key").is_some(), request.method == "POST");
    }
    let pending = provider.fetch(order).await.unwrap();
    assert_eq!((pending.len(), pending[0].state), (1, PaymentState::Pending));

    // A failed attempt leaves the payment open.
    fake.customer_fails(order, "insufficient_funds");
    let failed = provider.fetch(order).await.unwrap().remove(0);
    assert_eq!((failed.state, failed.failure.as_deref()), (PaymentState::Failed, Some("insufficient_funds")));
    fake.customer_pays(order);
    let paid = provider.fetch(order).await.unwrap().remove(0);
    assert_eq!((paid.state, paid.refunded_minor), (PaymentState::Captured, Some(0)));
    assert_eq!(paid.money, money);
    assert_eq!(paid.order_reference.as_deref(), Some("order-1"));
    assert_eq!(paid.method.as_deref(), Some("card"));
    let payment = paid.payment.unwrap();
    assert_eq!(payment, order);
    let webhooks = received(&provider, fake.webhooks());
    let names = ["payment_intent.created", "payment_intent.payment_failed", "payment_intent.succeeded"];
    assert_eq!(kinds(&webhooks), names);
    let WebhookEvent::Payment(report) = &webhooks.last().unwrap().event else { panic!("{webhooks:?}") };
    assert_eq!((report.state, report.order_reference.as_deref()), (PaymentState::Captured, Some("order-1")));
    assert_eq!(report.money, money);

    // The application makes a refund, which fails at the bank. Then somebody makes a refund at the provider's console.
    fake.settle_refunds_later();
    let hundred = Amount::new(100_00, "INR");
    let refund = provider.refund(&payment, &hundred, "refund-1").await.unwrap();
    assert_eq!((refund.state, refund.reference.as_deref()), (RefundState::Pending, Some("refund-1")));
    let again = provider.refund(&payment, &hundred, "refund-1").await.unwrap();
    assert_eq!(again.refund, refund.refund, "the same reference made a second refund");
    fake.fail_refund(&refund.refund);
    let at_console = fake.refund_at_console(&payment, 499_00);
    fake.settle_refund(&at_console);
    let refunds = provider.refunds(&payment).await.unwrap();
    let read: Vec<_> = refunds.iter().map(|report| (report.refund.clone(), report.state)).collect();
    assert_eq!(read, [(refund.refund, RefundState::Failed), (at_console, RefundState::Settled)]);
    assert_eq!((refunds[1].reference.as_ref(), &refunds[1].money), (None, &money));
    assert_eq!(refunds[0].failure.as_deref(), Some("expired_or_canceled_card"));
    let webhooks = received(&provider, fake.webhooks());
    assert!(
        kinds(&webhooks).starts_with(&["refund.created", "charge.refunded", "refund.updated"]),
        "{webhooks:?}"
    );
    let charge = webhooks.iter().rfind(|webhook| webhook.kind == "charge.refunded").unwrap();
    let WebhookEvent::Payment(report) = &charge.event else { panic!("{charge:?}") };
    assert_eq!((report.state, report.refunded_minor), (PaymentState::Captured, Some(499_00)));
    assert_eq!(provider.fetch(order).await.unwrap()[0].refunded_minor, Some(499_00));
    let refusal = provider.refund(&payment, &money, "refund-2").await.unwrap_err();
    assert_eq!(code(&refusal), "charge_already_refunded");

    let dispute = fake.customer_disputes(&payment, 499_00);
    fake.decide_dispute(&dispute, true);
    let webhooks = received(&provider, fake.webhooks());
    let states: Vec<_> = webhooks
        .iter()
        .map(|webhook| match &webhook.event {
            WebhookEvent::Dispute(report) => {
                (report.payment.as_str(), report.state, report.respond_by.is_some())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(states, [(order, DisputeState::Open, true), (order, DisputeState::Won, true)]);
}

#[tokio::test]
async fn a_payment_is_captured_once_or_cancelled() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let money = rupees();
    let manual = NewPayment { capture: Capture::Manual, ..new("order-1", &money) };
    let order = provider.create(&manual).await.unwrap().provider_order;
    let refusal = provider.capture(&order, &money).await.unwrap_err();
    assert_eq!(
        code(&refusal),
        "payment_intent_unexpected_state",
        "a capture before the payment was not refused with this code"
    );
    fake.customer_pays(&order);
    assert_eq!(provider.fetch(&order).await.unwrap()[0].state, PaymentState::Authorized);
    for _ in 0..2 {
        let captured = provider.capture(&order, &money).await.unwrap();
        assert_eq!((captured.state, &captured.money), (PaymentState::Captured, &money));
    }
    assert_eq!(fake.books().kept(), 499_00);
    assert_eq!(provider.cancel(&order).await.unwrap(), CancelOutcome::TooLate);

    let order = provider.create(&new("order-2", &money)).await.unwrap().provider_order;
    for _ in 0..2 {
        assert_eq!(provider.cancel(&order).await.unwrap(), CancelOutcome::Cancelled);
    }
    assert_eq!(provider.fetch(&order).await.unwrap()[0].state, PaymentState::Cancelled);
    let order = provider.create(&new("order-3", &money)).await.unwrap().provider_order;
    fake.customer_begins(&order);
    assert_eq!(
        provider.cancel(&order).await.unwrap(),
        CancelOutcome::StaysPayable,
        "a payment at which the bank works was cancelled"
    );
    fake.customer_pays(&order);
    assert_eq!(provider.cancel(&order).await.unwrap(), CancelOutcome::TooLate);
    let last = received(&provider, fake.webhooks());
    assert!(kinds(&last).contains(&"payment_intent.canceled"));
    let nothing = ClientReturn { provider_order: order.clone(), payment: order, signature: String::new() };
    assert_eq!(provider.verify_return(&nothing), Err(ReturnError::NotSigned));
}

#[tokio::test]
async fn webhooks_are_refused_unless_fresh_and_signed_for_this_account() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let money = rupees();
    provider.create(&new("order-1", &money)).await.unwrap();
    let event = fake.webhooks().take().remove(0);
    let now = chrono::Utc::now().timestamp();
    let at = move |seconds: i64| {
        let header = fake_header(seconds, FakeStripe::WEBHOOK_SECRET, &event.body);
        (header, event.body.clone())
    };
    let verify_header = |header: String, body: &[u8]| {
        verify_body(&provider, &[("Stripe-Signature".to_owned(), header)], body)
    };
    for (distance, expected) in [(0, true), (-290, true), (290, true), (-310, false), (310, false)] {
        let (header, body) = at(now + distance);
        let verified = verify_header(header, &body);
        let stale = matches!(verified, Err(WebhookError::Stale { .. }));
        assert_eq!((verified.is_ok(), stale), (expected, !expected), "{distance} s");
    }
    let (header, body) = at(now);
    let more = [body.as_slice(), b" "].concat();
    assert_eq!(verify_header(header.clone(), &more), Err(WebhookError::BadSignature));
    assert_eq!(verify_body(&provider, &[], &body), Err(WebhookError::NoSignature));
    for malformed in ["", "t=", "v1=00", "t=now,v1=00", &format!("t={now},v0=00"), &format!("t={now}")] {
        let refused = verify_header(malformed.to_owned(), &body);
        assert_eq!(refused, Err(WebhookError::NoSignature), "{malformed}");
    }
    // One right signature among several is enough, at any position.
    let (_, right) = header.split_once(",v1=").unwrap();
    let many = format!("t={now},v1={},v1=zz,v1={right},v0=00", "0".repeat(64));
    assert!(verify_header(many, &body).is_ok());
    // The signature covers the time, so a changed time is refused.
    assert_eq!(verify_header(format!("t={},v1={right}", now + 1), &body), Err(WebhookError::BadSignature));

    let signed = |body: &serde_json::Value| {
        let body = body.to_string().into_bytes();
        verify_header(fake_header(now, FakeStripe::WEBHOOK_SECRET, &body), &body)
    };
    let original: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut changed = original.clone();
    changed["livemode"] = json!(true);
    assert_eq!(signed(&changed), Err(WebhookError::OtherAccount("live mode".to_owned())));
    changed = original.clone();
    changed["account"] = json!("acct_connected");
    assert_eq!(signed(&changed), Err(WebhookError::OtherAccount("acct_connected".to_owned())));
    changed = original.clone();
    changed["data"]["object"] = json!({ "object": "payment_intent" });
    assert!(matches!(signed(&changed), Err(WebhookError::Unreadable(_))));
    changed["type"] = json!("customer.created");
    assert_eq!(signed(&changed).unwrap().event, WebhookEvent::Ignored("customer.created".to_owned()));
}

fn fake_header(seconds: i64, secret: &str, body: &[u8]) -> String {
    let time = seconds.to_string();
    format!("t={time},v1={}", hmac_hex(secret, &[time.as_bytes(), b".", body]))
}

#[tokio::test]
async fn secrets_of_webhooks_are_rotated_from_either_side() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let money = rupees();
    provider.create(&new("order-1", &money)).await.unwrap();
    let event = fake.webhooks().take().remove(0);
    // While a secret is rotated, Stripe signs with the new and the old secret for a day.
    fake.sign_with(&["whsec_new", FakeStripe::WEBHOOK_SECRET]);
    assert!(verify(&provider, fake.webhooks(), &event).is_ok());
    fake.sign_with(&["whsec_new"]);
    assert_eq!(verify(&provider, fake.webhooks(), &event), Err(WebhookError::BadSignature));
    let with = |secrets: &[&str]| {
        let mut config = stripe_config(&fake);
        config.webhook_secrets = secrets.iter().map(|secret| (*secret).into()).collect();
        Stripe::new(config).unwrap()
    };
    assert!(verify(&with(&[FakeStripe::WEBHOOK_SECRET, "whsec_new"]), fake.webhooks(), &event).is_ok());
    assert_eq!(verify(&with(&[]), fake.webhooks(), &event), Err(WebhookError::NotConfigured));
}

#[tokio::test]
async fn amounts_are_in_minor_units_of_iso_4217() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    for (minor, currency, at_stripe) in [(500, "ISK", 500_00), (500, "JPY", 500), (5_120, "KWD", 5_120)] {
        let money = Amount::new(minor, currency);
        let order = provider.create(&new(&format!("order-{currency}"), &money)).await.unwrap().provider_order;
        assert_eq!(fake.books().intent(&order).amount, at_stripe);
        fake.customer_pays(&order);
        assert_eq!(provider.fetch(&order).await.unwrap()[0].money, money);
        let refund = provider.refund(&order, &money, &format!("refund-{currency}")).await.unwrap();
        assert_eq!(refund.money, money);
        assert_eq!(fake.books().kept(), 0);
    }
    let sent = fake.requests().len();
    let refused = provider.create(&new("order", &Amount::new(5_124, "KWD"))).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Amount(_)));
    assert_eq!(fake.requests().len(), sent, "a refused request was sent");
}

#[tokio::test]
async fn a_long_list_of_refunds_is_read_to_its_end() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let money = rupees();
    let order = provider.create(&new("order-1", &money)).await.unwrap().provider_order;
    fake.customer_pays(&order);
    let made: Vec<String> = (1..=205).map(|amount| fake.refund_at_console(&order, amount)).collect();
    let read: Vec<String> =
        provider.refunds(&order).await.unwrap().into_iter().map(|one| one.refund).collect();
    assert_eq!(read, made);
}
