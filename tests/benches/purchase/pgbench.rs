//! Makes purchases with pgbench, with the SQL statements of the server.

use std::path::Path;
use std::time::{Duration, Instant};

use jishu_tests::load::cpu_time_of_ended_children;
use jishu_tests::pgbench::PgbenchScript;
use jishu_tests::process::DatabaseProcess;

use crate::shop::{BUNDLE, BUNDLE_SUBJECTS, COURSE, HOT_BUYER, SUBJECT, Shop, Workload};
use crate::{CONNECTIONS, Turn};

/// Makes all purchases of a turn with pgbench.
pub(crate) fn buy(
    database: &DatabaseProcess,
    shop: &Shop,
    workload: Workload,
    turn: usize,
    folder: &Path,
) -> Turn {
    let script = script(shop, workload, turn);
    let purchases = workload.purchases();
    let each = (purchases / CONNECTIONS).to_string();
    let (cpu, own_cpu) = (database.cpu_time(), cpu_time_of_ended_children("self"));
    let started = Instant::now();
    let arguments = ["-t", &each, "-D", "number=-1"].map(str::to_owned);
    let purchases_per_second = script.run(&database.url(), folder, CONNECTIONS, &arguments);
    let took = started.elapsed();
    let own_cpu = cpu_time_of_ended_children("self") - own_cpu;
    let turn = Turn::new(purchases, took, [database.cpu_time() - cpu, Duration::ZERO, own_cpu]);
    Turn { purchases_per_second, ..turn }
}

/// Returns a script that makes one purchase each time it runs.
fn script(shop: &Shop, workload: Workload, turn: usize) -> PgbenchScript {
    let is_bundle = workload == Workload::Bundle;
    let first = workload.numbers(turn).start;
    let each = workload.purchases() / CONNECTIONS;
    let (buyer, subject) = match workload {
        Workload::HotBuyer => (HOT_BUYER.to_string(), format!("{} + :at", Workload::first_subject())),
        _ => (format!("{} + :at", workload.first_buyer()), SUBJECT.to_string()),
    };
    let course = if is_bundle { BUNDLE } else { COURSE };
    let mut script = PgbenchScript::default();
    script.set("number", ":number + 1");
    script.set("at", format_args!("{first} + :client_id * {each} + :number"));
    script.set("buyer", buyer);
    script.set("subject", subject);
    script.set("course", course);
    script.set("key", "random(1, 9000000000000000)");
    script.plain("BEGIN");
    let [single, bundle] = &shop.statements;
    let [lock, read, insert] = &(if is_bundle { bundle } else { single })[..] else {
        panic!("a purchase has three statements: {single:#?}");
    };
    // The ids are variables, so that pgbench sends them as parameters. Then the database makes a plan for any id, as it
    // does for jishu.
    let big = |name: &str| format!("CAST(:{name} AS bigint)");
    let (buyer, subject, course, now) = (big("buyer"), big("subject"), big("course"), "now()".to_owned());
    let subjects =
        if is_bundle { BUNDLE_SUBJECTS.map(|id| id.to_string()).to_vec() } else { vec![subject.clone()] };
    let key = "CAST(:key AS text)".to_owned();

    let held = if is_bundle { vec![course.clone(); 2] } else { vec![subject.clone()] };
    // jishu locks with NOWAIT and retries. pgbench cannot retry, so its clients wait for the lock.
    script.statement(&lock.replace(" NOWAIT", ""), &[held, vec![buyer.clone()]].concat());
    let mut values = vec![buyer.clone(); 5];
    values.extend([key.clone(), course.clone()]);
    values.extend(if is_bundle { vec![course.clone(); 2] } else { vec![subject] });
    values.push(buyer.clone());
    script.statement(read, &values);

    let array = |kind: &str, value: &dyn Fn(&String) -> String| {
        format!("ARRAY[{}]::{kind}[]", subjects.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let text = |text: &str| format!("'{text}'::text");
    let none = |kind: &str| format!("NULL::{kind}");
    let kind = if is_bundle { "full_bundle" } else { "single_subject" };
    let amount = |amount: i64| format!("{amount}::bigint");
    // The values of the purchase.
    let mut values = vec![buyer.clone(), course, text(kind), amount(10_000), amount(10_000), amount(0)];
    values.extend([text("Tax"), "0".to_owned(), "true".to_owned(), text("INR"), text("active")]);
    values.extend([now.clone(), none("timestamptz")]);
    // The values of the entitlements, one array for each column.
    values.push(array("bigint", &|id| id.clone()));
    for amount in ["6667", "10000", "0"] {
        values.push(array("bigint", &|_| amount.to_owned()));
    }
    values.push(array("int", &|_| "50".to_owned()));
    // The values of the purchase request, with its idempotency key.
    values.extend([buyer.clone(), key, text(&"a".repeat(64)), text("created"), now.clone()]);
    // The values of the audit event.
    values.extend([now, buyer, text("purchase.created"), text("purchases"), none("text"), none("text")]);
    script.statement(insert, &values);
    script.plain("COMMIT");
    script
}
