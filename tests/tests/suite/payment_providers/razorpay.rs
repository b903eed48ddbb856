//! Payments at a fake of Razorpay: their steps, the values that a buyer brings back, webhooks, and refusals.

use jishu_tests::payments::connect::{razorpay, razorpay_config};
use jishu_tests::payments::{FakeRazorpay, hmac_hex};
use payment_providers::{
    Amount, AmountError, CancelOutcome, Capture, ClientParameters, ClientReturn, DisputeState, NewPayment,
    PaymentProvider, PaymentState, ProviderError, Razorpay, RefundState, ReturnError, WebhookError,
    WebhookEvent,
};
use serde_json::json;

use super::{code, kinds, new, received, rupees, verify, verify_body};

#[tokio::test]
async fn a_payment_is_created_paid_refunded_and_disputed() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let money = rupees();

    let created = provider.create(&new("order-1", &money)).await.unwrap();
    let order = created.provider_order.as_str();
    let expected =
        ClientParameters::Razorpay { key_id: FakeRazorpay::KEY_ID.to_owned(), order_id: order.to_owned() };
    assert_eq!(created.client, expected);
    assert_eq!(provider.client_parameters(order).await.unwrap(), expected);
    let sent = &fake.requests()[0].json();
    assert_eq!(sent["receipt"], "order-1");
    assert_eq!(sent["notes"]["order_reference"], "order-1");
    assert_eq!(sent["payment"]["capture"], "automatic");
    assert!(provider.fetch(order).await.unwrap().is_empty(), "the order has a payment before anybody paid");

    // A failed attempt leaves the order open.
    fake.customer_fails(order, "payment_timed_out");
    let returned = fake.customer_pays(order);
    let reports = provider.fetch(order).await.unwrap();
    let states: Vec<_> = reports.iter().map(|report| report.state).collect();
    assert!(
        states.contains(&PaymentState::Failed) && states.contains(&PaymentState::Captured),
        "{reports:?}"
    );
    let paid = reports.into_iter().find(|report| report.state == PaymentState::Captured).unwrap();
    assert_eq!(paid.provider_order, order);
    assert_eq!(paid.money, money);
    assert_eq!(paid.refunded_minor, Some(0));
    assert_eq!(paid.method.as_deref(), Some("upi"));
    let payment = paid.payment.unwrap();
    assert_eq!(payment, returned.payment_id);

    let webhooks = received(&provider, fake.webhooks());
    let names = ["payment.failed", "payment.authorized", "payment.captured", "order.paid"];
    assert_eq!(kinds(&webhooks), names);
    let WebhookEvent::Payment(failed) = &webhooks[0].event else { panic!("{webhooks:?}") };
    assert_eq!((failed.state, failed.failure.as_deref()), (PaymentState::Failed, Some("payment_timed_out")));
    let WebhookEvent::Payment(report) = &webhooks[3].event else { panic!("{webhooks:?}") };
    assert_eq!(
        report.order_reference.as_deref(),
        Some("order-1"),
        "the report does not name the order of its event"
    );
    assert_eq!(report.payment.as_ref(), Some(&payment));
    assert_eq!(report.account.as_deref(), Some(FakeRazorpay::ACCOUNT));
    assert!(webhooks.iter().all(|webhook| webhook.event_id.is_some() && webhook.created_at.is_some()));

    // The application makes a refund, which fails at the bank. Then somebody makes a refund at the provider's console.
    fake.settle_refunds_later();
    let refund = provider.refund(&payment, &Amount::new(100_00, "INR"), "refund-1").await.unwrap();
    assert_eq!((refund.state, refund.reference.as_deref()), (RefundState::Pending, Some("refund-1")));
    let again = provider.refund(&payment, &Amount::new(100_00, "INR"), "refund-1").await.unwrap();
    assert_eq!(again.refund, refund.refund, "the same reference made a second refund");
    fake.fail_refund(&refund.refund);
    let at_console = fake.refund_at_console(&payment, 499_00);
    fake.settle_refund(&at_console);
    let refunds = provider.refunds(&payment).await.unwrap();
    let found = |id: &str| refunds.iter().find(|report| report.refund == id).unwrap();
    assert_eq!(refunds.len(), 2);
    assert_eq!(found(&refund.refund).state, RefundState::Failed);
    assert_eq!(found(&at_console).state, RefundState::Settled);
    assert_eq!(found(&at_console).reference, None);
    assert_eq!(found(&at_console).money, money);
    let names = ["refund.created", "refund.failed", "refund.created", "refund.processed"];
    assert_eq!(kinds(&received(&provider, fake.webhooks())), names);
    let paid =
        &provider.fetch(order).await.unwrap().into_iter().find(|report| report.refunded_minor != Some(0));
    let paid = paid.as_ref().unwrap();
    assert_eq!((paid.state, paid.refunded_minor), (PaymentState::Captured, Some(499_00)));
    let refusal = provider.refund(&payment, &money, "refund-2").await.unwrap_err();
    assert_eq!(code(&refusal), "BAD_REQUEST_ERROR");

    let dispute = fake.customer_disputes(&payment, 499_00);
    fake.decide_dispute(&dispute, false);
    let webhooks = received(&provider, fake.webhooks());
    assert_eq!(kinds(&webhooks), ["payment.dispute.created", "payment.dispute.lost"]);
    let states: Vec<_> = webhooks
        .iter()
        .map(|webhook| match &webhook.event {
            WebhookEvent::Dispute(report) => (report.dispute.clone(), report.payment.clone(), report.state),
            other => panic!("{other:?}"),
        })
        .collect();
    let report = |state| (dispute.clone(), payment.clone(), state);
    assert_eq!(states, [report(DisputeState::Open), report(DisputeState::Lost)]);
}

#[tokio::test]
async fn up_to_a_thousand_refunds_of_a_payment_are_read() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let order = provider.create(&new("order-1", &rupees())).await.unwrap().provider_order;
    let payment = fake.customer_pays(&order).payment_id;
    for _ in 0..1_000 {
        fake.refund_at_console(&payment, 1);
    }
    assert_eq!(provider.refunds(&payment).await.unwrap().len(), 1_000);
    fake.refund_at_console(&payment, 1);
    let error = provider.refunds(&payment).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unreadable(_)), "{error:?}");
}

#[tokio::test]
async fn a_late_payment_is_captured_once_or_given_back() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let money = rupees();
    let manual = NewPayment { capture: Capture::Manual, ..new("order-1", &money) };
    let order = provider.create(&manual).await.unwrap().provider_order;

    let payment = fake.customer_fails(&order, "payment_timed_out");
    let refusal = provider.capture(&payment, &money).await.unwrap_err();
    assert_eq!(
        code(&refusal),
        "BAD_REQUEST_ERROR",
        "the capture of a failed payment was not refused with this code"
    );
    fake.bank_authorizes_late(&payment);
    assert_eq!(provider.fetch(&order).await.unwrap()[0].state, PaymentState::Authorized);
    let refusal = provider.capture(&payment, &Amount::new(498_00, "INR")).await.unwrap_err();
    assert_eq!(code(&refusal), "BAD_REQUEST_ERROR", "a capture of a part was not refused with this code");
    for _ in 0..2 {
        let captured = provider.capture(&payment, &money).await.unwrap();
        assert_eq!((captured.state, captured.payment.as_ref()), (PaymentState::Captured, Some(&payment)));
    }
    assert_eq!(fake.books().kept(), 499_00);
    assert_eq!(provider.cancel(&order).await.unwrap(), CancelOutcome::StaysPayable);

    // Nobody captures the next payment, so Razorpay gives it back. It counts as cancelled, not as refunded.
    let order = provider.create(&new("order-2", &money)).await.unwrap().provider_order;
    let uncaptured = fake.customer_pays_uncaptured(&order).payment_id;
    fake.give_back_uncaptured(&uncaptured);
    assert_eq!(provider.fetch(&order).await.unwrap()[0].state, PaymentState::Cancelled);
}

#[tokio::test]
async fn what_a_buyer_brings_back_is_verified() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let money = rupees();
    let order = provider.create(&new("order-1", &money)).await.unwrap().provider_order;
    let other = provider.create(&new("order-2", &money)).await.unwrap().provider_order;
    let back = fake.customer_pays(&order);
    let returned = |order: &str, signature: &str| ClientReturn {
        provider_order: order.to_owned(),
        payment: back.payment_id.clone(),
        signature: signature.to_owned(),
    };
    let order = order.as_str();
    assert_eq!(provider.verify_return(&returned(order, &back.signature)), Ok(()));
    let of_another = hmac_hex("another secret", &[order.as_bytes(), b"|", back.payment_id.as_bytes()]);
    for (order, signature) in [
        (other.as_str(), back.signature.as_str()),
        (order, ""),
        (order, "00"),
        (order, "not hexadecimal"),
        (order, &back.signature[..62]),
        (order, of_another.as_str()),
    ] {
        assert_eq!(provider.verify_return(&returned(order, signature)), Err(ReturnError::BadSignature));
    }
}

#[tokio::test]
async fn webhooks_are_refused_unless_signed_for_this_account() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let money = rupees();
    let order = provider.create(&new("order-1", &money)).await.unwrap().provider_order;
    fake.customer_pays(&order);
    let event = fake.webhooks().take().remove(1);
    let headers = fake.webhooks().headers(&event);
    assert!(verify_body(&provider, &headers, &event.body).is_ok());

    assert_eq!(verify_body(&provider, &[], &event.body), Err(WebhookError::NoSignature));
    let more = [event.body.as_slice(), b" "].concat();
    assert_eq!(verify_body(&provider, &headers, &more), Err(WebhookError::BadSignature));
    let signed = |body: &[u8]| {
        let signature = hmac_hex(FakeRazorpay::WEBHOOK_SECRET, &[body]);
        verify_body(&provider, &[("X-Razorpay-Signature".to_owned(), signature)], body)
    };
    let mut body = event.json();
    body["account_id"] = json!("acc_SomebodyElse01");
    let other = signed(body.to_string().as_bytes());
    assert_eq!(other, Err(WebhookError::OtherAccount("acc_SomebodyElse01".to_owned())));
    assert!(matches!(signed(b"[]"), Err(WebhookError::Unreadable(_))));
    body = event.json();
    body["payload"] = json!({});
    assert!(matches!(signed(body.to_string().as_bytes()), Err(WebhookError::Unreadable(_))));
    // A buyer can write the notes of a payment, so they do not name its order.
    body = event.json();
    body["payload"]["payment"]["entity"]["notes"] = json!({ "order_reference": "order-2" });
    let noted = signed(body.to_string().as_bytes()).unwrap().event;
    assert!(matches!(noted, WebhookEvent::Payment(report) if report.order_reference.is_none()));
    // Events of other products of the same account are ignored.
    body = event.json();
    body["payload"]["payment"]["entity"]["order_id"] = json!(null);
    let event_of_others = signed(body.to_string().as_bytes()).unwrap().event;
    assert_eq!(event_of_others, WebhookEvent::Ignored("payment.captured".to_owned()));
    body["event"] = json!("subscription.charged");
    let unknown = signed(body.to_string().as_bytes()).unwrap().event;
    assert_eq!(unknown, WebhookEvent::Ignored("subscription.charged".to_owned()));

    // The secret of webhooks is rotated. A configuration with only the old secret refuses a webhook, and one with both
    // secrets accepts it.
    fake.rotate_webhook_secret("the new secret");
    assert_eq!(verify(&provider, fake.webhooks(), &event), Err(WebhookError::BadSignature));
    let with = |secrets: &[&str]| {
        let mut config = razorpay_config(&fake);
        config.webhook_secrets = secrets.iter().map(|secret| (*secret).into()).collect();
        Razorpay::new(config).unwrap()
    };
    assert!(
        verify(&with(&["the new secret", FakeRazorpay::WEBHOOK_SECRET]), fake.webhooks(), &event).is_ok()
    );
    assert!(
        verify(&with(&[FakeRazorpay::WEBHOOK_SECRET, "the new secret"]), fake.webhooks(), &event).is_ok()
    );
    assert_eq!(verify(&with(&[]), fake.webhooks(), &event), Err(WebhookError::NotConfigured));
}

#[tokio::test]
async fn an_order_is_refused_before_it_is_sent_or_by_the_provider() {
    let fake = FakeRazorpay::start().await;
    let provider = razorpay(&fake);
    let dinars = Amount::new(99_991, "KWD");
    let refused = provider.create(&new("order-1", &dinars)).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Amount(AmountError::NotAMultiple { multiple_minor: 10, .. })));
    let long = "a".repeat(41);
    assert_eq!(code(&provider.create(&new(&long, &rupees())).await.unwrap_err()), "MALFORMED_REFERENCE");
    assert_eq!(code(&provider.fetch("order_1/../../payments").await.unwrap_err()), "MALFORMED_ID");
    assert!(fake.requests().is_empty(), "a refused request was sent");

    let paise = Amount::new(99, "INR");
    let refused = provider.create(&new("order-1", &paise)).await.unwrap_err();
    let expected = ProviderError::Refused {
        status: 400,
        code: "BAD_REQUEST_ERROR".to_owned(),
        message: "The amount must be at least INR 1.00 (field: amount) (reason: input_validation_failed)"
            .to_owned(),
    };
    assert_eq!(refused, expected);
    assert_eq!(code(&provider.fetch("order_unknown").await.unwrap_err()), "BAD_REQUEST_ERROR");

    let mut config = razorpay_config(&fake);
    config.key_secret = "a wrong secret".into();
    let refused = Razorpay::new(config).unwrap().create(&new("order-1", &rupees())).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused { status: 401, .. }), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("a wrong secret"));
    assert!(fake.books().orders.is_empty());

    for yen in [Amount::new(295, "JPY"), Amount::new(99_990, "KWD")] {
        let order = provider.create(&new("order-1", &yen)).await.unwrap().provider_order;
        fake.customer_pays(&order);
        assert_eq!(provider.fetch(&order).await.unwrap()[0].money, yen);
    }
}
