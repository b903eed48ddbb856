//! The sales report, over the API and on the command line: sums by course, subject, day and month, in the time zone of
//! the platform.

mod at_scale;
mod days;
mod world;

use std::sync::Arc;

use jishu_entity::refund::RefundStatus;
use jishu_entity::user::Role;
use jishu_tests::{Backend, TestApp, on_each_database};
use serde_json::{Value, json};

use crate::command_line::{fail, jishu, succeed};
use world::{Books, Line, REPORT, report};

on_each_database!(
    a_row_says_what_was_sold_and_what_is_left_of_it,
    the_rows_of_each_grouping_add_up_to_the_sums_of_the_tables,
    purchases_over_the_api_are_in_the_report,
    a_report_that_makes_no_sense_is_refused,
);

const YEAR: [&str; 2] = ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"];

async fn a_row_says_what_was_sold_and_what_is_left_of_it(app: Arc<TestApp>) {
    let books = Books::open(&app).await;
    // The prices include 18 % tax: 118.00 at a list price of 150.00, and 59.00 at a list price of 59.00.
    let first = [Line::new(0, 118_00).list(150_00).tax(18_00), Line::new(1, 59_00).list(59_00).tax(9_00)];
    let sold = books.sell("2026-03-01T10:00:00Z", "INR", Some(true), &first).await;
    // The price is 100.00, and the tax of 18.00 is added to it.
    let second = [Line::new(0, 118_00).list(120_00).tax(18_00)];
    books.sell("2026-03-02T10:00:00Z", "INR", Some(false), &second).await;
    // A purchase that was made before purchases recorded list prices and taxes.
    books.sell("2026-03-03T10:00:00Z", "INR", None, &[Line::new(1, 10_00)]).await;
    books.sell("2026-03-03T10:00:00Z", "JPY", Some(true), &[Line::new(2, 500).list(500).tax(0)]).await;
    books
        .refund(&sold, "2026-04-01T10:00:00Z", RefundStatus::Settled, &[Line::new(0, 118_00).tax(18_00)])
        .await;
    books.refund(&sold, "2026-04-02T10:00:00Z", RefundStatus::Failed, &[Line::new(1, 59_00).tax(9_00)]).await;

    let rows = report(&books.admin, YEAR, &[]).await;
    let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
    let inr = |amount: &str| money(amount, "INR");
    assert_eq!(
        rows,
        [
            json!({ "month": null, "day": null, "course": null, "subject": null, "currency": "INR", "purchases": 3,
                "subjectsSold": 4, "gross": inr("339.00"), "discount": inr("52.00"), "charged": inr("305.00"),
                "tax": inr("45.00"), "refunds": { "count": 2, "amount": inr("177.00"), "tax": inr("27.00") },
                "net": inr("110.00") }),
            json!({ "month": null, "day": null, "course": null, "subject": null, "currency": "JPY", "purchases": 1,
                "subjectsSold": 1, "gross": money("500", "JPY"), "discount": money("0", "JPY"),
                "charged": money("500", "JPY"), "tax": money("0", "JPY"),
                "refunds": { "count": 0, "amount": money("0", "JPY"), "tax": money("0", "JPY") },
                "net": money("500", "JPY") }),
        ]
    );
    // A refund counts in the month of its request, so the amounts of the purchase's month stay the same.
    let rows = report(&books.admin, YEAR, &["MONTH", "SUBJECT"]).await;
    let brief: Vec<_> = rows
        .iter()
        .map(|row| {
            (row["month"].as_str().unwrap(), row["subject"]["name"].as_str().unwrap(), &row["net"]["amount"])
        })
        .collect();
    assert_eq!(
        brief,
        [
            ("2026-03", "Physics", &json!("200.00")),
            ("2026-03", "Chemistry", &json!("60.00")),
            ("2026-03", "Botany", &json!("500")),
            ("2026-04", "Physics", &json!("-100.00")),
            ("2026-04", "Chemistry", &json!("-50.00")),
        ]
    );
    // A purchase of two subjects counts once in the row of each subject.
    let rows = report(&books.admin, YEAR, &["SUBJECT"]).await;
    let purchases: Vec<_> = rows.iter().map(|row| row["purchases"].as_i64().unwrap()).collect();
    assert_eq!(purchases, [2, 2, 1]);
}

async fn the_rows_of_each_grouping_add_up_to_the_sums_of_the_tables(app: Arc<TestApp>) {
    let books = Books::open(&app).await;
    books.fill(300).await;
    for currency in ["INR", "USD"] {
        let expected = books.sums_by_sql(currency).await;
        for by in [
            &[][..],
            &["COURSE"],
            &["SUBJECT"],
            &["DAY"],
            &["MONTH"],
            &["COURSE", "SUBJECT"],
            &["DAY", "COURSE"],
            &["MONTH", "SUBJECT", "DAY", "SUBJECT"],
        ] {
            let rows = report(&books.admin, YEAR, by).await;
            let rows: Vec<_> = rows.iter().filter(|row| row["currency"] == currency).collect();
            let sum = |pointer: &str| -> i64 {
                rows.iter()
                    .map(|row| {
                        let value = row.pointer(pointer).unwrap();
                        let minor = |text: &str| text.replace('.', "").parse().unwrap();
                        value.as_i64().unwrap_or_else(|| minor(value.as_str().unwrap()))
                    })
                    .sum()
            };
            let amounts = [
                "/subjectsSold",
                "/gross/amount",
                "/charged/amount",
                "/tax/amount",
                "/refunds/amount/amount",
            ];
            assert_eq!(amounts.map(sum), expected.amounts, "{currency} by {by:?}");
            // Without the subject as a dimension, a purchase counts in only one row.
            if !by.contains(&"SUBJECT") {
                assert_eq!(
                    [sum("/purchases"), sum("/refunds/count")],
                    expected.counts,
                    "{currency} by {by:?}"
                );
            }
        }
    }
}

async fn purchases_over_the_api_are_in_the_report(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(1).price(199_00).create(&app).await;
    for name in ["Asha", "Binod"] {
        app.learner(name).await.buy(course.several(&[0, 1])).await;
    }
    let admin = app.staff("Ada", Role::Admin).await;
    let rows = report(&admin, ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"], &["COURSE"]).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["course"]["id"], json!(course.id));
    assert_eq!([&rows[0]["purchases"], &rows[0]["subjectsSold"]], [&json!(2), &json!(4)]);
    assert_eq!(rows[0]["charged"]["amount"], "796.00");
}

async fn a_report_that_makes_no_sense_is_refused(app: Arc<TestApp>) {
    let books = Books::open(&app).await;
    let ask = async |from: &str, to: &str, by: Value| {
        books.admin.fail(REPORT, json!({ "from": from, "to": to, "by": by })).await
    };
    for (from, to) in
        [(YEAR[1], YEAR[0]), (YEAR[0], YEAR[0]), ("0001-01-01T00:00:00Z", "1969-01-01T00:00:00Z")]
    {
        let (code, message) = ask(from, to, json!([])).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert_eq!(message, "The report begins at or after its end. Give a `to` that is later than `from`.");
    }
    let (code, message) = ask("1990-01-01T00:00:00Z", YEAR[1], json!(["DAY"])).await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.starts_with("The report has more than 3700 days or months."), "{message}");
    let months = report(&books.admin, ["1990-01-01T00:00:00Z", YEAR[1]], &["MONTH"]).await;
    assert_eq!(months, Vec::<Value>::new());
    // The API accepts the interval from the earliest time to the latest time that it can read.
    let all = report(&books.admin, ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"], &[]).await;
    assert_eq!(all, Vec::<Value>::new());

    for day in 1..=28 {
        let lines: Vec<_> = (0..4).map(|subject| Line::new(subject, 100)).collect();
        for month in 1..=12 {
            let at = format!("2026-{month:02}-{day:02}T12:00:00Z");
            books.sell(&at, "INR", Some(true), &lines).await;
        }
    }
    let (code, message) = ask(YEAR[0], YEAR[1], json!(["DAY", "SUBJECT"])).await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert_eq!(
        message,
        "The report has more than 1000 rows. Give a shorter interval or fewer dimensions, or use `jishu report sales` on \
         the command line."
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_prints_csv_and_columns() {
    TestApp::run(Backend::Sqlite, async |app| {
        let books = Books::open(&app).await;
        app.execute("UPDATE subjects SET code = 'phy', name = 'Physics, \"hard\"' WHERE name = 'Physics'").await;
        // In India, the time of this purchase is half past eleven in the evening of 1 March.
        books.sell("2026-03-01T18:00:00Z", "INR", Some(true), &[Line::new(0, 118_00).list(150_00).tax(18_00)]).await;
        // In India, the time of this purchase is half past midnight on 2 March.
        books.sell("2026-03-01T19:00:00Z", "INR", Some(true), &[Line::new(0, 100_00).list(100_00).tax(0)]).await;
        let folder = tempfile::tempdir().unwrap();
        let command = |arguments: &[&str]| {
            let report = ["report", "sales", "--database-url", &app.database_url, "--time-zone", "Asia/Kolkata"];
            jishu(folder.path(), &[&report[..], arguments].concat())
        };
        let days = ["--from", "2026-03-01", "--to", "2026-03-03"];
        let csv = succeed(command(&[&days[..], &["--by", "subject,day", "--format", "csv"]].concat()));
        assert_eq!(
            csv,
            "day,subject_id,subject_code,subject,currency,purchases,subjects_sold,gross,discount,charged,tax,refunds,\
             refunded,refunded_tax,net\n\
             2026-03-01,1,phy,\"Physics, \"\"hard\"\"\",INR,1,1,150.00,32.00,118.00,18.00,0,0.00,0.00,100.00\n\
             2026-03-02,1,phy,\"Physics, \"\"hard\"\"\",INR,1,1,100.00,0.00,100.00,0.00,0,0.00,0.00,100.00\n"
        );
        let one_day = ["--from", "2026-03-02", "--to", "2026-03-03", "--by", "course"];
        let table = succeed(command(&one_day));
        let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines.len(), 2, "{table}");
        assert_eq!(lines[1].last(), Some(&"100.00"));
        // A bound of the report may also be a moment instead of a day.
        let moments = ["--from", "2026-03-01T18:30:00Z", "--to", "2026-03-03", "--format", "csv"];
        assert_eq!(succeed(command(&moments)).lines().nth(1), Some("INR,1,1,100.00,0.00,100.00,0.00,0,0.00,0.00,100.00"));

        let wrong = fail(command(&["--from", "2026-03-03", "--to", "2026-03-01"]));
        assert!(wrong.contains("The report begins at or after its end. Give a --to that is later"), "{wrong}");
        let wrong = fail(command(&["--from", "March", "--to", "2026-03-01"]));
        assert!(wrong.contains("give a day such as 2026-11-01"), "{wrong}");
        let elsewhere = ["report", "sales", "--from", "2026-03-01", "--to", "2026-03-02", "--time-zone", "India"];
        let wrong = fail(jishu(folder.path(), &elsewhere));
        assert!(wrong.contains("such as Asia/Kolkata"), "{wrong}");
    })
    .await;
}
