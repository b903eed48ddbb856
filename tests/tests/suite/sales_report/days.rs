//! The days and months of the sales report, in time zones with and without daylight saving.

use jishu_tests::{Backend, TestApp};

use super::world::{Books, Line, report};

/// A time zone, and purchases at the edges of days: the moment, and the day in the zone that it belongs to.
const EDGES: &[(&str, &[(&str, &str)])] = &[
    ("UTC", &[("2026-02-28T23:59:59.999999Z", "2026-02-28"), ("2026-03-01T00:00:00Z", "2026-03-01")]),
    (
        // Clocks go forward on 29 March, which has 23 hours, and back on 25 October, which has 25.
        "Europe/Berlin",
        &[
            ("2026-03-28T22:59:59Z", "2026-03-28"),
            ("2026-03-28T23:00:00Z", "2026-03-29"),
            ("2026-03-29T21:59:59Z", "2026-03-29"),
            ("2026-03-29T22:00:00Z", "2026-03-30"),
            ("2026-10-24T22:00:00Z", "2026-10-25"),
            // On this day, half past two in the morning comes twice.
            ("2026-10-25T00:30:00Z", "2026-10-25"),
            ("2026-10-25T01:30:00Z", "2026-10-25"),
            ("2026-10-25T22:59:59Z", "2026-10-25"),
            ("2026-10-25T23:00:00Z", "2026-10-26"),
        ],
    ),
    (
        "America/New_York",
        &[
            ("2026-03-08T04:59:59Z", "2026-03-07"),
            ("2026-03-08T05:00:00Z", "2026-03-08"),
            ("2026-03-09T03:59:59Z", "2026-03-08"),
            ("2026-03-09T04:00:00Z", "2026-03-09"),
            ("2026-11-01T04:00:00Z", "2026-11-01"),
            ("2026-11-02T04:59:59Z", "2026-11-01"),
            ("2026-11-02T05:00:00Z", "2026-11-02"),
        ],
    ),
    ("Asia/Kolkata", &[("2026-06-30T18:29:59Z", "2026-06-30"), ("2026-06-30T18:30:00Z", "2026-07-01")]),
];

async fn each_purchase_is_in_its_day(backend: Backend) {
    for (zone, edges) in EDGES {
        let flag = format!("--time-zone={zone}");
        TestApp::run_with(backend, &[&flag], async |app| {
            let books = Books::open(&app).await;
            let mut expected: Vec<(String, i64)> = Vec::new();
            for (number, (at, day)) in edges.iter().enumerate() {
                // Each amount is twice the amount before it, so a sum shows which purchases it contains.
                let amount = 100 << number;
                books.sell(at, "INR", Some(true), &[Line::new(0, amount)]).await;
                match expected.last_mut() {
                    Some((last, sum)) if last == day => *sum += amount,
                    _ => expected.push(((*day).to_owned(), amount)),
                }
            }
            let year = ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"];
            let sums = |rows: &[serde_json::Value], dimension: &str| -> Vec<(String, i64)> {
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                rows.iter()
                    .map(|row| {
                        (
                            text(&row[dimension]),
                            text(&row["charged"]["amount"]).replace('.', "").parse().unwrap(),
                        )
                    })
                    .collect()
            };
            assert_eq!(sums(&report(&books.admin, year, &["DAY"]).await, "day"), expected, "{zone}");
            let mut months: Vec<(String, i64)> = Vec::new();
            for (day, sum) in &expected {
                match months.last_mut() {
                    Some((month, total)) if day.starts_with(month.as_str()) => *total += sum,
                    _ => months.push((day[..7].to_owned(), *sum)),
                }
            }
            assert_eq!(sums(&report(&books.admin, year, &["MONTH"]).await, "month"), months, "{zone}");

            // A purchase at `from` is in the report, and a purchase at `to` is not.
            let (first, last) = (edges[0].0, edges[edges.len() - 1].0);
            let rows = report(&books.admin, [first, last], &[]).await;
            let all: i64 = expected.iter().map(|(_, sum)| sum).sum();
            let of_last: i64 = 100 << (edges.len() - 1);
            assert_eq!(
                rows[0]["charged"]["amount"].as_str().unwrap().replace('.', ""),
                (all - of_last).to_string()
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_puts_each_purchase_in_its_day() {
    each_purchase_is_in_its_day(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_puts_each_purchase_in_its_day() {
    each_purchase_is_in_its_day(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_puts_each_purchase_in_its_day() {
    each_purchase_is_in_its_day(Backend::MariaDb).await;
}
