//! Checks names: the dashboard, the alerts and `observing.md` name only metrics that exist, `observing.md` explains
//! each metric and each alert, and functions of the service name their spans. Also checks the alerts with promtool.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use jishu_service::metrics::Metrics;
use regex::Regex;
use serde_json::Value;

/// Returns the path of a file of the repository.
pub(super) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// Returns the queries of all panels of the Grafana dashboard.
pub(super) fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("api/deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Returns the metrics that a text names. The series `_bucket`, `_sum` and `_count` of a histogram count as the
/// histogram.
fn named(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:jishu|process)_[a-z_]+").unwrap();
    let histograms = Regex::new("_seconds_(?:bucket|sum|count)$").unwrap();
    name.find_iter(text).map(|found| histograms.replace(found.as_str(), "_seconds").into_owned()).collect()
}

#[test]
fn the_dashboard_and_the_alerts_name_only_metrics_that_exist() {
    let exist: BTreeSet<String> = Metrics::on().names().iter().cloned().collect();
    assert!(exist.len() >= 30, "{exist:?}");
    let on_dashboard = named(&dashboard_queries().join("\n"));
    let in_alerts = named(&read("api/deploy/alerts.yml"));
    assert!(on_dashboard.len() > 20 && in_alerts.len() > 8, "{on_dashboard:?} {in_alerts:?}");
    let unknown: Vec<_> = on_dashboard.union(&in_alerts).filter(|name| !exist.contains(*name)).collect();
    assert!(unknown.is_empty(), "these metrics do not exist: {unknown:?}");
}

#[test]
fn the_page_explains_each_metric_and_each_alert() {
    let page = read("api/docs/observing.md");
    let exist: BTreeSet<String> = Metrics::on().names().iter().cloned().collect();
    assert_eq!(
        named(&page).difference(&exist).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "the page names metrics that do not exist"
    );
    for name in &exist {
        assert!(page.contains(&format!("| `{name}` |")), "the table of the page lacks {name}");
    }
    let alert = Regex::new("- alert: ([A-Za-z]+)").unwrap();
    for found in alert.captures_iter(&read("api/deploy/alerts.yml")) {
        assert!(page.contains(&format!("\n### {}\n", &found[1])), "the page lacks the alert {}", &found[1]);
    }
}

#[test]
fn prometheus_accepts_the_alerts_and_their_tests() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(arguments).current_dir(file("api/deploy")).output();
        let output = output.expect("promtool is installed: tests/run installs it with prometheus");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Folders of the service crate whose functions no request calls, so they need no `service_call`.
const WITHOUT_REQUESTS: [&str; 4] = ["adopt", "backup", "demo", "integrity"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !WITHOUT_REQUESTS.iter().any(|name| path.ends_with(name)) {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Checks that each public async function of the service outside `WITHOUT_REQUESTS` has the attribute `service_call`. A
/// function whose first parameter is `services` serves requests, so its attribute must name a span. The check skips
/// methods and functions with type parameters, because the attribute does not support them.
#[test]
fn each_function_of_a_service_is_a_call() {
    let mut files = Vec::new();
    sources(&file("api/service/src"), &mut files);
    let function = Regex::new(r"(?m)^(.*)\npub async fn (\w+)(<[^>]*>)?\(([^{]*?)\)( ->|$| \{)").unwrap();
    let attribute = Regex::new(r#"^#\[service_call(?:\("([a-z_]+\.\w+)"\))?\]$"#).unwrap();
    let mut found = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for captures in function.captures_iter(&text) {
            let (name, parameters) = (&captures[2], &captures[4]);
            if captures.get(3).is_some() || parameters.contains("impl ") {
                continue;
            }
            let place = format!("{}: {name}", path.display());
            let Some(attribute) = attribute.captures(&captures[1]) else {
                panic!("{place}: add the attribute service_call")
            };
            let serves_requests = parameters.trim_start().starts_with("services: &Services");
            match attribute.get(1) {
                Some(span) => {
                    assert!(span.as_str().ends_with(&format!(".{name}")), "{place}: {}", span.as_str());
                }
                None => assert!(!serves_requests, "{place}: give service_call the name of a span"),
            }
            found += 1;
        }
    }
    assert!(found > 150, "{found}");
}
