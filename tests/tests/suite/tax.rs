//! Taxes: quotes, what a purchase charges, and its receipt.

use std::sync::Arc;

use jishu_tests::{Backend, TestApp, TestCourse};
use serde_json::{Value, json};

const QUOTE: &str = "query ($input: PurchaseSelection!) { purchaseQuote(input: $input) { quote {
    lines { subject { name } listPrice { amount } price { amount } tax { amount } }
    subtotal { amount } discount { amount } tax { amount } taxLabel taxPercent pricesIncludeTax total { amount } } } }";

const RECEIPTS: &str = "{ viewer { purchases { edges { node {
    cost { amount } subtotal { amount } discount { amount } tax { amount } taxLabel taxPercent pricesIncludeTax
    lines { subject { name } listPrice { amount } price { amount } tax { amount } testCards status refundedAt }
    refunds { id } } } } } }";

/// Makes a test of each function on each database, with a server that runs with the flags beside its name.
macro_rules! with_flags {
    ($($name:ident: $flags:expr;)+) => {$(
        mod $name {
            use super::{Backend, TestApp};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                TestApp::run_with(Backend::Sqlite, &$flags, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                TestApp::run_with(Backend::Postgres, &$flags, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                TestApp::run_with(Backend::MariaDb, &$flags, super::$name).await;
            }
        }
    )+};
}

with_flags! {
    prices_include_the_tax: ["--tax-percent=18", "--tax-label=GST"];
    prices_exclude_the_tax: ["--tax-percent=12.5", "--tax-label=VAT", "--prices-exclude-tax"];
    a_receipt_keeps_what_the_purchase_was_made_with: ["--tax-percent=18"];
}

/// Three subjects at 100.00 each, and a bundle at 250.00, which does not divide into three equal shares of whole paise.
async fn course(app: &TestApp) -> TestCourse {
    app.course(&["Physics", "Chemistry", "Biology"]).bundle(250_00).cards(2).create(app).await
}

fn amount(amount: &str) -> Value {
    json!({ "amount": amount })
}

fn lines(lines: [[&str; 3]; 3]) -> Value {
    let line = |[name, price, tax]: [&str; 3]| {
        json!({
            "subject": { "name": name }, "listPrice": amount("100.00"), "price": amount(price), "tax": amount(tax),
        })
    };
    lines.map(line).as_slice().into()
}

/// Quotes and buys the bundle, and asserts that the quote and the receipt have the amounts `due`.
async fn assert_charged(app: &TestApp, due: Value) {
    let course = course(app).await;
    let asha = app.learner("Asha").await;
    let selection = json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" });
    let quoted = asha.run_with(QUOTE, json!({ "input": selection })).await;
    assert_eq!(*quoted.at("/purchaseQuote/quote"), due);

    // `cost` is the total with the tax.
    let subtotal = due["subtotal"]["amount"].as_str().expect("an amount");
    let before = app.row_counts().await;
    let refused = asha.buy(course.whole().cost(subtotal)).await;
    assert_eq!(refused.refused_as().0, "PRICE_CHANGED");
    assert_eq!(app.row_counts().await, before);
    let total = due["total"]["amount"].as_str().expect("an amount");
    assert_eq!(asha.buy(course.whole().cost(total)).await.cost(), total);

    let receipts = asha.run(RECEIPTS).await;
    let receipt = receipts.at("/viewer/purchases/edges/0/node");
    for field in ["subtotal", "discount", "tax", "taxLabel", "taxPercent", "pricesIncludeTax"] {
        assert_eq!(receipt[field], due[field], "{field}");
    }
    assert_eq!(receipt["cost"], due["total"]);
    for (line, quoted) in
        receipt["lines"].as_array().expect("lines").iter().zip(due["lines"].as_array().expect("lines"))
    {
        for field in ["subject", "listPrice", "price", "tax"] {
            assert_eq!(line[field], quoted[field], "{field}");
        }
        assert_eq!(
            (&line["testCards"], &line["status"], &line["refundedAt"]),
            (&json!(2), &json!("ACTIVE"), &Value::Null)
        );
    }
    assert_eq!(receipt["refunds"], json!([]));
    let unequal = "SELECT COUNT(*) FROM (SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id \
                   GROUP BY p.id, p.cost, p.tax HAVING SUM(e.price_paid) <> p.cost OR SUM(e.tax) <> p.tax) unequal";
    assert_eq!(app.number(unequal).await, 0);
}

async fn prices_include_the_tax(app: Arc<TestApp>) {
    // 250.00 × 18 / 118 = 38.1355…, which is 38.14.
    let due = json!({
        "lines": lines([["Physics", "83.33", "12.71"], ["Chemistry", "83.33", "12.71"], ["Biology", "83.34", "12.72"]]),
        "subtotal": amount("300.00"), "discount": amount("50.00"), "tax": amount("38.14"), "total": amount("250.00"),
        "taxLabel": "GST", "taxPercent": "18.00", "pricesIncludeTax": true,
    });
    assert_charged(&app, due).await;
}

async fn prices_exclude_the_tax(app: Arc<TestApp>) {
    // 250.00 × 12.5 % = 31.25, in shares of 10.4162…, 10.4162… and 10.4175….
    let due = json!({
        "lines": lines([["Physics", "93.74", "10.41"], ["Chemistry", "93.75", "10.42"], ["Biology", "93.76", "10.42"]]),
        "subtotal": amount("300.00"), "discount": amount("50.00"), "tax": amount("31.25"), "total": amount("281.25"),
        "taxLabel": "VAT", "taxPercent": "12.50", "pricesIncludeTax": false,
    });
    assert_charged(&app, due).await;
}

async fn a_receipt_keeps_what_the_purchase_was_made_with(app: Arc<TestApp>) {
    let course = course(&app).await;
    let asha = app.learner("Asha").await;
    assert_eq!(asha.buy(course.subject(0)).await.cost(), "100.00");
    let before = asha.run(RECEIPTS).await.body;
    app.execute("UPDATE subjects SET list_price = 77700").await;
    app.services.catalog.reload().await.expect("the catalogue can be read");
    assert_eq!(asha.run(RECEIPTS).await.body, before);

    // A purchase that was made before the server stored receipts has null in these fields, but a line with its price.
    app.execute("UPDATE purchases SET subtotal = NULL, tax = NULL, tax_label = NULL, tax_basis_points = NULL, is_tax_included = NULL").await;
    app.execute("UPDATE entitlements SET list_price = NULL, tax = NULL").await;
    let receipts = asha.run(RECEIPTS).await;
    let receipt = receipts.at("/viewer/purchases/edges/0/node");
    for field in ["subtotal", "discount", "tax", "taxLabel", "taxPercent", "pricesIncludeTax"] {
        assert_eq!(receipt[field], Value::Null, "{field}");
    }
    assert_eq!(receipt["lines"][0]["price"], amount("100.00"));
    assert_eq!(
        (&receipt["lines"][0]["listPrice"], &receipt["lines"][0]["tax"]),
        (&Value::Null, &Value::Null)
    );
}
