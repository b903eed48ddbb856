//! Sends webhooks with the faults that providers warn of: delay, loss, repetition and wrong order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::wait_until;

/// A webhook that was not sent yet.
#[derive(Debug, Clone)]
pub struct UnsentWebhook {
    /// The provider's name of the event.
    pub kind: String,
    /// The id of the event.
    pub event_id: String,
    /// The body, exactly as it is signed and sent.
    pub body: Vec<u8>,
}

impl UnsentWebhook {
    /// Returns the body as JSON.
    ///
    /// # Panics
    /// Panics if the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An attempt to send a webhook.
#[derive(Debug, Clone)]
pub struct SentWebhook {
    /// The provider's name of the event.
    pub kind: String,
    /// The id of the event.
    pub event_id: String,
    /// The HTTP status of the response. `None` if there was no response.
    pub status: Option<u16>,
}

/// The way in which webhooks are sent.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryPlan {
    /// The share of the events that are lost, between 0 and 1. Only [`Outbox::replay_lost`] sends these events.
    pub lost: f64,
    /// Maximum number of times that an event is sent, even if the receiver responded with success: 1 to 5.
    pub repeated: u32,
    /// Maximum delay before an event is sent. Each delay is random, so an event can overtake an earlier event.
    pub delay: Duration,
    /// Maximum number of further attempts after an attempt without a successful response.
    pub retries: u32,
}

impl DeliveryPlan {
    /// Sends each event once and without delay. If an event is not accepted, makes three further attempts.
    pub const PROMPT: Self = Self { lost: 0.0, repeated: 1, delay: Duration::ZERO, retries: 3 };
    /// Loses a tenth of the events. Sends each other event one to five times, each time with a delay of up to 100
    /// milliseconds, so that events overtake each other.
    pub const STORMY: Self = Self { lost: 0.1, repeated: 5, delay: Duration::from_millis(100), retries: 3 };
}

/// Makes the headers of a webhook at the moment when it is sent.
pub(super) type Signer = Arc<dyn Fn(&UnsentWebhook) -> Vec<(String, String)> + Send + Sync>;

/// The webhooks of a fake provider. Without a [`DeliveryPlan`], the outbox keeps them until a test sends them.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    signer: Signer,
    client: reqwest::Client,
    target: Mutex<Option<String>>,
    plan: Mutex<Option<(DeliveryPlan, StdRng)>>,
    held: Mutex<Vec<UnsentWebhook>>,
    sent: Mutex<Vec<SentWebhook>>,
    lost: Mutex<Vec<UnsentWebhook>>,
    under_way: AtomicUsize,
}

/// The pause after an attempt that was not accepted.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    pub(super) fn new(signer: Signer) -> Self {
        let inner = Inner {
            signer,
            client: crate::loopback_client()
                .no_proxy()
                .timeout(Duration::from_secs(10))
                .build()
                .expect("a client"),
            target: Mutex::default(),
            plan: Mutex::default(),
            held: Mutex::default(),
            sent: Mutex::default(),
            lost: Mutex::default(),
            under_way: AtomicUsize::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sets the URL that webhooks are sent to. The URL must be on 127.0.0.1.
    ///
    /// # Panics
    /// Panics if the URL is not on 127.0.0.1.
    pub fn send_to(&self, url: impl Into<String>) {
        let url = url.into();
        assert!(url.starts_with("http://127.0.0.1:"), "{url} is not on 127.0.0.1");
        *lock(&self.inner.target) = Some(url);
    }

    /// Makes the outbox send all further events by itself, as the plan says. The seed fixes the random choices.
    pub fn deliver_by(&self, plan: DeliveryPlan, seed: u64) {
        *lock(&self.inner.plan) = Some((plan, StdRng::seed_from_u64(seed)));
    }

    /// Makes the outbox keep all further events until a test sends them.
    pub fn hold(&self) {
        *lock(&self.inner.plan) = None;
    }

    /// Removes the events that the outbox keeps, and returns them, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<UnsentWebhook> {
        std::mem::take(&mut *lock(&self.inner.held))
    }

    /// Returns the headers that the event would have if it were sent now.
    #[must_use]
    pub fn headers(&self, event: &UnsentWebhook) -> Vec<(String, String)> {
        (self.inner.signer)(event)
    }

    /// Sends an event once, and returns the HTTP status of the response. Returns `None` if there was no response, or if
    /// [`Outbox::send_to`] has not been called.
    pub async fn send(&self, event: &UnsentWebhook) -> Option<u16> {
        let target = lock(&self.inner.target).clone()?;
        let mut request = self.inner.client.post(target).body(event.body.clone());
        for (name, value) in self.headers(event) {
            request = request.header(name, value);
        }
        let status = request.send().await.ok().map(|response| response.status().as_u16());
        let sent = SentWebhook { kind: event.kind.clone(), event_id: event.event_id.clone(), status };
        lock(&self.inner.sent).push(sent);
        status
    }

    /// Sends each event that the outbox keeps once, oldest first. Returns the HTTP status of each response.
    pub async fn send_all(&self) -> Vec<Option<u16>> {
        let mut statuses = Vec::new();
        for event in self.take() {
            statuses.push(self.send(&event).await);
        }
        statuses
    }

    /// Returns all attempts to send an event so far, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<SentWebhook> {
        lock(&self.inner.sent).clone()
    }

    /// Returns the number of events that were lost: on purpose, or because no attempt was accepted. An event that is
    /// sent several times can count several times.
    #[must_use]
    pub fn lost(&self) -> usize {
        lock(&self.inner.lost).len()
    }

    /// Sends the lost events that have one of these texts in their name, as staff do in the provider's dashboard.
    /// Returns the number of these events.
    ///
    /// # Panics
    /// Panics if the server does not accept an event within a minute.
    pub async fn replay_lost(&self, kinds: &[&str]) -> usize {
        let is_chosen = |event: &UnsentWebhook| kinds.iter().any(|kind| event.kind.contains(kind));
        let lost: Vec<_> = lock(&self.inner.lost).iter().filter(|event| is_chosen(event)).cloned().collect();
        for event in &lost {
            wait_until("a replayed event is accepted", async || self.send(event).await == Some(200)).await;
        }
        lost.len()
    }

    /// Waits until the outbox has made all attempts for all events that it sends by itself.
    pub async fn settled(&self) {
        wait_until("all webhooks are sent", async || self.inner.under_way.load(Ordering::SeqCst) == 0).await;
    }

    pub(super) fn put(&self, event: UnsentWebhook) {
        let mut plan = lock(&self.inner.plan);
        let Some((plan, random)) = plan.as_mut() else {
            lock(&self.inner.held).push(event);
            return;
        };
        if random.random_bool(plan.lost) {
            lock(&self.inner.lost).push(event);
            return;
        }
        // Two thirds of the events are sent once. The other events are sent 1 to `most` times.
        let most = plan.repeated.clamp(1, 5);
        let times = if random.random_ratio(2, 3) { 1 } else { random.random_range(1..=most) };
        for _ in 0..times {
            let delay = plan.delay.mul_f64(random.random_range(0.0..=1.0));
            let (outbox, event, retries) = (self.clone(), event.clone(), plan.retries);
            self.inner.under_way.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let mut is_accepted = false;
                for _ in 0..=retries {
                    is_accepted =
                        outbox.send(&event).await.is_some_and(|status| (200..300).contains(&status));
                    if is_accepted {
                        break;
                    }
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                if !is_accepted {
                    lock(&outbox.inner.lost).push(event);
                }
                outbox.inner.under_way.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
}
