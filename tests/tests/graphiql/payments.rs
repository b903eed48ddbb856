//! Runs the code for frontends from `api/docs/payments.md` in a browser, unchanged. Also makes an order in the tab
//! Checkout of GraphiQL.
//!
//! A test loads no scripts from the providers. A stand-in takes the place of the provider's script: the stand-in takes
//! the same arguments, pays at the fake provider, and returns the same values.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, Json};
use axum::routing::get;
use jishu_entity::user::Role;
use jishu_tests::payments::{DeliveryPlan, FakeRazorpay, FakeStripe};
use jishu_tests::{Backend, Client, TestApp, wait_for};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::browser::{Browser, Page};

const DOCUMENT: &str = include_str!("../../../api/docs/payments.md");

/// The HTML of a frontend's page.
const PAGE: &str = r#"<!DOCTYPE html><title>Shop</title><link rel="icon" href="data:,"><div id="payment"></div><button id="pay">Pay</button>
<script>STAND_IN</script><script type="module" src="/page.js"></script>"#;

/// The script of the page, with the code of the document in place of `CODE`. The script is a file of its own, because a
/// comment in the code contains `</script>`, which would end a script inside the page.
const SCRIPT: &str = r#"
window.told = [];
async function graphql(query, variables) {
  const response = await fetch("API", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer TOKEN" },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}
const showErrors = (errors) => window.told.push("errors");
const waitFor = (order) => window.told.push(order.id);
const orderId = decodeURIComponent(location.pathname.split("/").pop());
CODE
window.pay = pay;
window.told.push("loaded");
"#;

/// The stand-in for Razorpay's `checkout.js`. With `window.closesForm`, the buyer closes the form. Otherwise the first
/// payment fails, and the second succeeds.
const RAZORPAY_FORM: &str = r#"
window.Razorpay = class {
  #options; #listeners = {};
  constructor(options) { this.#options = options; }
  on(event, listener) { this.#listeners[event] = listener; }
  async open() {
    if (window.closesForm) return this.#options.modal.ondismiss();
    const query = new URLSearchParams({ key: this.#options.key, order: this.#options.order_id });
    const failed = await fetch("/form/fail?" + query);
    this.#listeners["payment.failed"](await failed.json());
    const paid = await fetch("/form/pay?" + query);
    await this.#options.handler(await paid.json());
  }
};"#;

/// The stand-in for Stripe.js. The first payment is declined, and sets `window.declined`. If `window.declined` is set,
/// a payment succeeds. With `window.leaves`, the bank's page sends the buyer to the page with the URL `return_url`.
const STRIPE_FORM: &str = r#"
window.Stripe = (key) => ({
  elements: ({ clientSecret }) => ({
    clientSecret,
    create: (kind) => ({ mount: (place) => { document.querySelector(place).textContent = kind; } }),
  }),
  async confirmPayment({ elements, confirmParams, redirect }) {
    if (redirect !== "if_required") throw new Error("the buyer would leave the page");
    const way = window.declined ? "pay" : "fail";
    const query = new URLSearchParams({ key, order: elements.clientSecret });
    const response = await (await fetch(`/form/${way}?` + query)).json();
    window.declined = true;
    if (response.paid && window.leaves) {
      location.href = `${confirmParams.return_url}?payment_intent=${response.paid}`;
      return new Promise(() => {});
    }
    return response;
  },
});"#;

/// Returns the first example in JavaScript from a section of the document.
fn example(section: &str) -> &'static str {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {section}\n")).unwrap();
    let (_, code) = section.split_once("```js\n").unwrap();
    code.split_once("\n```").unwrap().0
}

/// A function that carries out what the buyer does in the form. Its arguments are `pay` or `fail`, the key of the
/// provider, and the order. Returns what the form returns, or None if the provider would refuse the key or the order.
type Form = Arc<dyn Fn(&str, &str, &str) -> Option<Value> + Send + Sync>;

/// The server of a frontend, with another origin than jishu.
struct Frontend {
    listener: TcpListener,
    origin: String,
}

impl Frontend {
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, origin }
    }

    /// Serves the page, its script, and the requests of the form.
    fn serve(self, stand_in: &str, script: String, form: Form) {
        let html = PAGE.replace("STAND_IN", stand_in);
        let page = get(|| async move { Html(html) });
        let script = get(|| async move { ([(CONTENT_TYPE, "text/javascript")], script) });
        let routes = Router::new()
            .route("/", page.clone())
            .route("/orders/{id}", page)
            .route("/page.js", script)
            .route("/form/{deed}", get(fill_in))
            .with_state(form);
        tokio::spawn(async move { axum::serve(self.listener, routes).await });
    }
}

async fn fill_in(
    State(form): State<Form>,
    Path(deed): Path<String>,
    Query(given): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, StatusCode> {
    let value = |name| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (key, order) = (value("key").unwrap_or_default(), value("order").unwrap_or_default());
    form(&deed, key, order).map(Json).ok_or(StatusCode::UNAUTHORIZED)
}

fn script(app: &TestApp, learner: &Client, code: &str) -> String {
    SCRIPT.replace("API", &app.url("/graphql")).replace("TOKEN", learner.token()).replace("CODE", code)
}

/// Calls the function `pay` of the document. Waits until `window.told` has `told` entries, and returns the entries.
async fn pay(page: &Page, course: &jishu_tests::TestCourse, subject: usize, key: &str, told: usize) -> Value {
    page.until("window.told?.includes('loaded')").await;
    let selection = course.subject(subject).json().clone();
    page.script(&format!("window.pay({selection}, {key:?}); return null")).await;
    page.until(&format!("window.told.length >= {told}")).await;
    page.script("return window.told").await
}

/// Reads an order again and again until it has this status.
async fn until_status(learner: &Client, order: &str, status: &str) {
    let document = "query ($id: ID!) { node(id: $id) { ... on Order { status } } }";
    wait_for(status, async || {
        let answer = learner.run_with(document, json!({ "id": order })).await;
        (answer.text("/node/status") == status).then_some(())
    })
    .await;
}

const KEY: &str = "6f1c2a58-4444-4d6e-9a4e-000000000001";
const OTHER_KEY: &str = "6f1c2a58-4444-4d6e-9a4e-000000000002";

/// Flags of a server that takes payments at a fake of Razorpay.
fn razorpay(fake: &FakeRazorpay) -> Vec<String> {
    [
        "--payments=razorpay".to_owned(),
        format!("--payment-key={}", FakeRazorpay::KEY_ID),
        format!("--payment-secret={}", FakeRazorpay::KEY_SECRET),
        format!("--payment-webhook-secret={}", FakeRazorpay::WEBHOOK_SECRET),
        format!("--payment-url={}", fake.address()),
    ]
    .into()
}

async fn start(flags: &[String]) -> TestApp {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestApp::start_with(Backend::Sqlite, &flags).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checkout_tab_makes_an_order() {
    let fake = FakeRazorpay::start().await;
    let app = start(&razorpay(&fake)).await;
    app.course(&["Physics"]).create(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    browser
        .visit(async |page| {
            page.goto(&format!("{base}#token={}", learner.token())).await;
            page.execute().await;
            let (course, subject) = (page.id("Course").await, page.id("Subject").await);
            page.open_tab("mutation", "Checkout").await;
            page.fill(&course).await;
            page.fill(&subject).await;
            page.execute().await;
            page.response_line("\"PENDING\"").await;
            let order = fake.read_books(|books| books.orders[0].id.clone());
            page.response_line(&order).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_for_razorpay_checkout_pays_an_order() {
    let Some(browser) = Browser::start_for_any_page() else { return };
    let (fake, frontend) = (Arc::new(FakeRazorpay::start().await), Frontend::bind().await);
    let cors = format!("--cors-origins={}", frontend.origin);
    let app = start(&[razorpay(&fake), vec![cors]].concat()).await;
    let course = app.course(&["Physics"]).create(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let (url, code) = (frontend.origin.clone(), example("Razorpay Checkout"));
    let provider = Arc::clone(&fake);
    let form: Form = Arc::new(move |deed: &str, key: &str, order: &str| {
        let knows = provider.read_books(|books| books.orders.iter().any(|known| known.id == order));
        if key != FakeRazorpay::KEY_ID || !knows {
            return None;
        }
        if deed == "fail" {
            provider.customer_fails(order, "payment_timed_out");
            return Some(json!({ "error": { "code": "BAD_REQUEST_ERROR", "reason": "payment_timed_out" } }));
        }
        let paid = provider.customer_pays(order);
        Some(json!({ "razorpay_order_id": paid.order_id, "razorpay_payment_id": paid.payment_id,
            "razorpay_signature": paid.signature }))
    });
    frontend.serve(RAZORPAY_FORM, script(&app, &learner, code), form);
    browser
        .visit(async |page| {
            page.client.goto(&url).await.unwrap();
            page.script("window.closesForm = true; return null").await;
            let closed = pay(page, &course, 0, KEY, 2).await;
            let order = closed[1].as_str().unwrap().to_owned();
            until_status(&learner, &order, "PENDING").await;
            // After a reload, the same key finds the same order. No webhook is sent, so only the page reports the
            // payment.
            page.client.goto(&url).await.unwrap();
            assert_eq!(pay(page, &course, 0, KEY, 2).await, json!(["loaded", order]));
            until_status(&learner, &order, "GRANTED").await;
            // A further call with the same key returns the granted order, and opens no form.
            assert_eq!(pay(page, &course, 0, KEY, 3).await, json!(["loaded", order, order]));
            page.assert_no_complaints().await;
        })
        .await;
    assert_eq!(fake.read_books(|books| (books.orders.len(), books.kept())), (1, 100_00));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_for_stripe_elements_pays_an_order() {
    let Some(browser) = Browser::start_for_any_page() else { return };
    let (fake, frontend) = (Arc::new(FakeStripe::start().await), Frontend::bind().await);
    let flags = [
        "--payments=stripe".to_owned(),
        format!("--payment-key={}", FakeStripe::PUBLISHABLE_KEY),
        format!("--payment-secret={}", FakeStripe::SECRET_KEY),
        format!("--payment-webhook-secret={}", FakeStripe::WEBHOOK_SECRET),
        format!("--payment-url={}", fake.address()),
        format!("--cors-origins={}", frontend.origin),
    ];
    let app = start(&flags).await;
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let clock = app.services.clock.clone();
    fake.use_clock(move || clock.now().timestamp());
    fake.webhooks().send_to(app.url("/webhooks/payments/stripe"));
    fake.webhooks().deliver_by(DeliveryPlan::PROMPT, 1);
    // The code for Stripe uses the documents that the first example defines.
    let (documents, _) = example("Razorpay Checkout").split_once("async function pay(").unwrap();
    let code = format!("{documents}\n{}", example("Stripe Elements"));
    let (url, provider) = (frontend.origin.clone(), Arc::clone(&fake));
    let form: Form = Arc::new(move |deed: &str, key: &str, secret: &str| {
        let books = provider.books();
        let intent = books.intents.iter().find(|known| known.client_secret == secret)?;
        if key != FakeStripe::PUBLISHABLE_KEY {
            return None;
        }
        if deed == "fail" {
            provider.customer_fails(&intent.id, "card_declined");
            return Some(
                json!({ "error": { "code": "card_declined", "message": "Your card was declined." } }),
            );
        }
        provider.customer_pays(&intent.id);
        Some(json!({ "paid": intent.id }))
    });
    frontend.serve(STRIPE_FORM, script(&app, &learner, &code), form);
    browser
        .visit(async |page| {
            page.client.goto(&url).await.unwrap();
            pay(page, &course, 0, KEY, 1).await;
            page.until("document.querySelector('#payment').textContent === 'payment'").await;
            page.find("#pay").await.click().await.unwrap();
            page.until("window.told.length >= 2").await;
            assert_eq!(page.script("return window.told").await, json!(["loaded", "errors"]));
            page.find("#pay").await.click().await.unwrap();
            page.until("window.told.length >= 3").await;
            let order = page.script("return window.told[2]").await.as_str().unwrap().to_owned();
            until_status(&learner, &order, "GRANTED").await;

            // The bank's page sends the buyer to the page of the order. No webhook is sent, so only that page reports
            // the payment.
            fake.webhooks().hold();
            page.client.goto(&url).await.unwrap();
            page.script("window.declined = window.leaves = true; return null").await;
            pay(page, &course, 1, OTHER_KEY, 1).await;
            page.until("document.querySelector('#payment').textContent === 'payment'").await;
            page.find("#pay").await.click().await.unwrap();
            page.until("location.pathname.startsWith('/orders/') && window.told?.includes('loaded')").await;
            let order = page.script("return decodeURIComponent(location.pathname.slice(8))").await;
            until_status(&learner, order.as_str().unwrap(), "GRANTED").await;
            page.assert_no_complaints().await;
        })
        .await;
    assert_eq!(fake.books().kept(), 200_00);
}
