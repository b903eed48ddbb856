//! A fake of Razorpay: <https://razorpay.com/docs/api>.

mod api;
mod books;
mod customer;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use books::{RazorpayBooks, RazorpayDispute, RazorpayOrder, RazorpayPayment, RazorpayRefund};
pub use customer::CheckoutReturn;
use serde_json::{Value, json};

use super::faults::Faults;
use super::server::{FakeServer, SeenRequest};
use super::sign::hmac_hex;
use super::webhooks::{Outbox, UnsentWebhook};

/// A running fake of Razorpay. Dropping this value stops the fake.
pub struct FakeRazorpay {
    account: Arc<Account>,
    server: FakeServer,
}

/// The application's account at the fake of Razorpay.
struct Account {
    books: Mutex<RazorpayBooks>,
    outbox: Outbox,
    webhook_secret: Arc<Mutex<String>>,
    next_id: AtomicUsize,
    refunds_settle_later: Mutex<bool>,
}

impl FakeRazorpay {
    /// The id of the API key, which is public.
    pub const KEY_ID: &str = "rzp_test_FakeKey0000001";
    /// The secret of the API key.
    pub const KEY_SECRET: &str = "fake-razorpay-key-secret";
    /// The secret that signs webhooks, until [`Self::rotate_webhook_secret`] changes it.
    pub const WEBHOOK_SECRET: &str = "fake-razorpay-webhook-secret";
    /// The id of the merchant's account at Razorpay.
    pub const ACCOUNT: &str = "acc_FakeAccount001";

    /// Starts a fake with an empty account.
    pub async fn start() -> Self {
        let webhook_secret = Arc::new(Mutex::new(Self::WEBHOOK_SECRET.to_owned()));
        let secret = webhook_secret.clone();
        let outbox = Outbox::new(Arc::new(move |event: &UnsentWebhook| {
            let secret = secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
            vec![
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("X-Razorpay-Signature".to_owned(), hmac_hex(&secret, &[&event.body])),
                ("x-razorpay-event-id".to_owned(), event.event_id.clone()),
            ]
        }));
        let account = Arc::new(Account {
            books: Mutex::default(),
            outbox,
            webhook_secret,
            next_id: AtomicUsize::new(1),
            refunds_settle_later: Mutex::new(false),
        });
        let server = FakeServer::start(account.clone()).await;
        Self { account, server }
    }

    /// Returns the URL of the fake: `http://` with the address and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// Returns the faults of the fake, so that a test can plan more faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Returns the outbox with the webhooks of the fake.
    #[must_use]
    pub fn webhooks(&self) -> &Outbox {
        &self.account.outbox
    }

    /// Returns all requests that arrived, oldest first. The list is empty after [`Self::forget_requests`].
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.server.seen()
    }

    /// Returns a copy of the books.
    #[must_use]
    pub fn books(&self) -> RazorpayBooks {
        self.account.books().clone()
    }

    /// Calls `read` with the books themselves instead of a copy. Returns the result of `read`.
    pub fn read_books<T>(&self, read: impl FnOnce(&RazorpayBooks) -> T) -> T {
        read(&self.account.books())
    }

    /// Deletes the recorded requests, and records no requests from now on. Otherwise the requests of a long storm would
    /// fill the memory.
    pub fn forget_requests(&self) {
        self.server.forget_requests();
    }

    /// Changes the secret that webhooks are signed with.
    pub fn rotate_webhook_secret(&self, secret: &str) {
        secret.clone_into(&mut self.account.webhook_secret.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Leaves new refunds pending, until [`Self::settle_refund`] or [`Self::fail_refund`] is called.
    pub fn settle_refunds_later(&self) {
        *self.account.refunds_settle_later.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl Account {
    fn books(&self) -> std::sync::MutexGuard<'_, RazorpayBooks> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an id in the form that Razorpay uses: a prefix, an underscore and 14 characters.
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_Fake{:010}", self.next_id.fetch_add(1, Ordering::SeqCst))
    }

    /// Puts a webhook event with snapshots of these objects into the outbox.
    fn emit(&self, kind: &str, objects: &[(&str, Value)]) {
        let payload: serde_json::Map<String, Value> =
            objects.iter().map(|(name, object)| ((*name).to_owned(), json!({ "entity": object }))).collect();
        let body = json!({
            "entity": "event",
            "account_id": FakeRazorpay::ACCOUNT,
            "event": kind,
            "contains": objects.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "payload": payload,
            "created_at": now(),
        });
        self.outbox.put(UnsentWebhook {
            kind: kind.to_owned(),
            event_id: self.id("event"),
            body: body.to_string().into_bytes(),
        });
    }
}

/// Returns the present time, in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}
