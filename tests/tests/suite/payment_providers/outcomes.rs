//! The outcome of a call when the network or the provider fails, and the work that the provider has done by then. Also
//! checks the configuration of the clients, and files with secrets.

use std::time::Duration;

use jishu_tests::payments::connect::{razorpay, razorpay_config, stripe, stripe_config};
use jishu_tests::payments::{FakeRazorpay, FakeStripe, Fault};
use payment_providers::{
    CircuitOptions, ConfigError, ExposeSecret, PaymentProvider, ProviderError, Razorpay, RazorpayConfig,
    Stripe, StripeConfig, read_secret_file,
};

use super::{code, new, rupees};

/// Faults after which the caller does not know whether the provider did the work.
const UNKNOWN: [Fault; 7] = [
    Fault::HangAfterWork,
    Fault::Hang,
    Fault::CloseBeforeWork,
    Fault::LoseResponse,
    Fault::StatusAfterWork(502),
    Fault::Garbage,
    Fault::Huge(2 << 20),
];

/// Time limit of a request. It is short, because the fake does not respond to some requests.
const SHORT: Duration = Duration::from_millis(250);

#[tokio::test]
async fn an_order_at_razorpay_is_sent_once_and_looked_for_before_it_is_sent_again() {
    let fake = FakeRazorpay::start().await;
    let mut config = razorpay_config(&fake);
    config.http.request_timeout = SHORT;
    let impatient = Razorpay::new(config).unwrap();
    let provider = razorpay(&fake);
    let money = rupees();
    for (number, fault) in UNKNOWN.into_iter().enumerate() {
        let reference = format!("order-{number}");
        let before = fake.requests().len();
        fake.faults().next("POST", "/v1/orders", fault);
        let error = impatient.create(&new(&reference, &money)).await.unwrap_err();
        assert!(error.is_unknown() && !error.may_try_again(), "{fault:?}: {error:?}");
        assert_eq!(fake.requests().len(), before + 1, "{fault:?}: the request was repeated or not sent");

        let found = provider.create_again(&new(&reference, &money)).await.unwrap();
        let again = provider.create_again(&new(&reference, &money)).await.unwrap();
        assert_eq!(found, again);
        let books = fake.books();
        let orders = books.orders.iter().filter(|order| order.receipt.as_deref() == Some(&reference));
        assert_eq!(orders.count(), 1, "{fault:?}");
    }
    // Makes two orders with one reference, as if the first request had only been slow. `create_again` returns the paid
    // order.
    provider.create(&new("order-twice", &money)).await.unwrap();
    let paid = provider.create(&new("order-twice", &money)).await.unwrap();
    fake.customer_pays(&paid.provider_order);
    assert_eq!(provider.create_again(&new("order-twice", &money)).await.unwrap(), paid);
}

#[tokio::test]
async fn a_limited_request_is_repeated_because_nothing_was_done() {
    let (razorpay_fake, stripe_fake) = (FakeRazorpay::start().await, FakeStripe::start().await);
    let money = rupees();
    razorpay_fake.faults().times(2, "POST", "/v1/orders", Fault::TooManyRequests(0));
    razorpay(&razorpay_fake).create(&new("order-1", &money)).await.unwrap();
    assert_eq!((razorpay_fake.requests().len(), razorpay_fake.books().orders.len()), (3, 1));

    // `Retry-After` asks for an hour. The request is not repeated, and the error gives this pause to the caller.
    stripe_fake.faults().next("POST", "/v1/payment_intents", Fault::TooManyRequests(3_600));
    let error = stripe(&stripe_fake).create(&new("order-1", &money)).await.unwrap_err();
    let ProviderError::TryAgain { retry_after, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(3_600)));
    assert!(error.may_try_again());
    assert_eq!(stripe_fake.requests().len(), 1);
}

#[tokio::test]
async fn requests_with_a_key_are_repeated_and_do_their_work_once() {
    let (razorpay_fake, stripe_fake) = (FakeRazorpay::start().await, FakeStripe::start().await);
    let (razorpay, stripe) = (razorpay(&razorpay_fake), stripe(&stripe_fake));
    let money = rupees();

    stripe_fake.faults().next("POST", "/v1/payment_intents", Fault::LoseResponse);
    stripe_fake.faults().next("POST", "/v1/payment_intents", Fault::StatusAfterWork(500));
    let intent = stripe.create(&new("order-1", &money)).await.unwrap().provider_order;
    assert_eq!(stripe_fake.books().intents.len(), 1);
    let keys: Vec<_> = stripe_fake
        .requests()
        .iter()
        .map(|request| request.header("idempotency-key").map(str::to_owned))
        .collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    stripe_fake.customer_pays(&intent);
    stripe_fake.faults().next("POST", "/v1/refunds", Fault::LoseResponse);
    stripe.refund(&intent, &money, "refund-1").await.unwrap();
    assert_eq!(stripe_fake.books().refunds.len(), 1);

    let order = razorpay.create(&new("order-1", &money)).await.unwrap().provider_order;
    let payment = razorpay_fake.customer_pays_uncaptured(&order).payment_id;
    // The response to the capture is lost, and the provider refuses the repeated capture. The payment, which is read
    // then, shows that the first capture worked.
    razorpay_fake.faults().next("POST", "capture", Fault::LoseResponse);
    razorpay.capture(&payment, &money).await.unwrap();
    razorpay_fake.faults().next("POST", "refund", Fault::LoseResponse);
    razorpay_fake.faults().next("POST", "refund", Fault::StatusAfterWork(504));
    razorpay.refund(&payment, &money, "refund-1").await.unwrap();
    assert_eq!(razorpay_fake.books().refunds.len(), 1);

    // All three attempts fail, although the first has done the work. The error says that the outcome is unknown.
    let order = razorpay.create(&new("order-2", &money)).await.unwrap().provider_order;
    let payment = razorpay_fake.customer_pays(&order).payment_id;
    razorpay_fake.faults().next("POST", "refund", Fault::LoseResponse);
    razorpay_fake.faults().times(2, "POST", "refund", Fault::TooManyRequests(0));
    let error = razorpay.refund(&payment, &money, "refund-2").await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    let refunds = razorpay.refunds(&payment).await.unwrap();
    assert_eq!(refunds[0].reference.as_deref(), Some("refund-2"), "the provider's list lacks the refund");
}

#[tokio::test]
async fn reading_is_repeated_and_can_always_be_tried_again() {
    let fake = FakeStripe::start().await;
    let provider = stripe(&fake);
    let order = provider.create(&new("order-1", &rupees())).await.unwrap().provider_order;
    for fault in [Fault::CloseBeforeWork, Fault::LoseResponse, Fault::Status(503), Fault::Huge(2 << 20)] {
        fake.faults().times(2, "GET", &order, fault);
        assert!(provider.fetch(&order).await.is_ok(), "{fault:?}");
        fake.faults().times(3, "GET", &order, fault);
        let error = provider.fetch(&order).await.unwrap_err();
        assert!(error.may_try_again() && !error.is_unknown(), "{fault:?}: {error:?}");
    }
    fake.faults().next("GET", &order, Fault::Garbage);
    assert!(matches!(provider.fetch(&order).await, Err(ProviderError::Unreadable(_))));
}

#[tokio::test]
async fn the_circuit_opens_when_a_provider_is_down() {
    let fake = FakeStripe::start().await;
    let mut config = stripe_config(&fake);
    config.http.max_attempts = 1;
    config.http.circuit = CircuitOptions { failures: 3, open_for: Duration::from_secs(600) };
    let provider = Stripe::new(config).unwrap();
    // A provider that refuses requests is working, so refusals do not open the circuit.
    for _ in 0..5 {
        assert_eq!(code(&provider.fetch("pi_unknown").await.unwrap_err()), "resource_missing");
    }
    fake.faults().times(3, "GET", "", Fault::Status(500));
    for _ in 0..3 {
        assert!(matches!(provider.fetch("pi_unknown").await, Err(ProviderError::TryAgain { .. })));
    }
    let sent = fake.requests().len();
    let error = provider.create(&new("order-1", &rupees())).await.unwrap_err();
    assert!(matches!(error, ProviderError::CircuitOpen { .. }) && error.may_try_again(), "{error:?}");
    assert_eq!(fake.requests().len(), sent, "a request was sent although the circuit is open");
}

#[tokio::test]
async fn large_responses_and_requests_that_were_not_sent_do_not_open_the_circuit() {
    let fake = FakeStripe::start().await;
    let mut config = stripe_config(&fake);
    config.http.max_attempts = 1;
    config.http.circuit = CircuitOptions { failures: 3, open_for: Duration::from_secs(600) };
    fake.faults().times(3, "GET", "", Fault::Huge(2 << 20));
    let provider = Stripe::new(config.clone()).unwrap();
    for _ in 0..3 {
        assert!(matches!(provider.fetch("pi_unknown").await, Err(ProviderError::TryAgain { .. })));
    }
    assert_eq!(code(&provider.fetch("pi_unknown").await.unwrap_err()), "resource_missing");

    // A line break cannot be part of a header, so the requests cannot be built.
    config.http.traceparent = || Some("\n".to_owned());
    let provider = Stripe::new(config).unwrap();
    let sent = fake.requests().len();
    for _ in 0..5 {
        let error = provider.fetch("pi_unknown").await.unwrap_err();
        assert!(matches!(error, ProviderError::TryAgain { .. }), "{error:?}");
    }
    assert_eq!(fake.requests().len(), sent);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_has_done_nothing() {
    let fake = FakeRazorpay::start().await;
    let mut config = razorpay_config(&fake);
    // The listener is dropped at once, so nobody listens on its port any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.base = format!("http://127.0.0.1:{port}").parse().unwrap();
    let error = Razorpay::new(config).unwrap().create(&new("order-1", &rupees())).await.unwrap_err();
    assert!(error.may_try_again(), "{error:?}");
}

#[test]
fn a_secret_is_read_from_a_file_without_its_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "whsec_1\n").unwrap();
    assert_eq!(read_secret_file(&path).unwrap().expose_secret(), "whsec_1");
    std::fs::write(&path, " \n").unwrap();
    for path in [path, folder.path().join("missing")] {
        let error = read_secret_file(&path).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_configuration_that_would_leak_or_mix_is_refused() {
    let razorpay = || RazorpayConfig::new("rzp_live_1", "secret".into()).unwrap();
    let stripe = || StripeConfig::new("pk_live_1", "sk_live_1".into()).unwrap();
    assert!(Razorpay::new(razorpay()).is_ok());
    assert!(Stripe::new(stripe()).is_ok());

    let printed = format!("{:?}{:?}", RazorpayConfig::new("rzp_live_1", "S3cret".into()), stripe());
    assert!(!printed.contains("S3cret") && !printed.contains("sk_live_1"), "{printed}");

    for (base, allowed) in [
        ("https://api.razorpay.com", true),
        ("https://proxy.example.com/razorpay/", true),
        ("http://127.0.0.1:9000", true),
        ("http://[::1]:9000", true),
        ("http://localhost:9000", true),
        ("http://api.razorpay.com", false),
        ("http://127.0.0.1.example.com", false),
        ("http://localhost.example.com", false),
        ("ftp://127.0.0.1", false),
        ("https://user:password@api.razorpay.com", false),
    ] {
        let mut config = razorpay();
        config.base = base.parse().unwrap();
        assert_eq!(Razorpay::new(config).is_ok(), allowed, "{base}");
    }
    let mut config = razorpay();
    config.webhook_secrets = vec!["1".into(), "2".into(), "3".into()];
    assert_eq!(Razorpay::new(config).err(), Some(ConfigError::TooManyWebhookSecrets));
    let mut config = razorpay();
    config.webhook_secrets = vec![" ".into()];
    assert_eq!(Razorpay::new(config).err(), Some(ConfigError::Blank("a secret of webhooks")));
    let wrong =
        |public: &str, secret: &str| Stripe::new(StripeConfig::new(public, secret.into()).unwrap()).err();
    assert_eq!(wrong("pk_live_1", "rk_test_1"), Some(ConfigError::MixedModes));
    assert!(matches!(wrong("pk_live_1", "pk_live_1"), Some(ConfigError::WrongKey { .. })));
    assert!(matches!(wrong("sk_live_1", "sk_live_1"), Some(ConfigError::WrongKey { .. })));
    let config = RazorpayConfig::new("pk_live_1", "secret".into()).unwrap();
    assert!(matches!(Razorpay::new(config).err(), Some(ConfigError::WrongKey { .. })));
}
