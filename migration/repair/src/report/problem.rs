//! A problem in a report.

use serde::Serialize;
use serde_json::Value;

use crate::inspect::Finding;

/// A problem that an inspection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedProblem {
    /// The code of the kind of problem. Codes never change.
    pub code: &'static str,
    /// The number of cases.
    pub count: i64,
    /// A sentence that describes the problem.
    pub message: String,
    /// Whether `jishu repair --apply` corrects the problem.
    pub repairable: bool,
    /// The first few cases. All cases if the problem concerns keys.
    pub samples: Vec<Value>,
}

/// The problems of a report, in order.
#[derive(Default)]
pub(super) struct ProblemList {
    pub(super) problems: Vec<ReportedProblem>,
}

impl ProblemList {
    /// Adds a problem that concerns rows, if the finding has any cases.
    pub(super) fn add_rows(
        &mut self,
        code: &'static str,
        finding: &Finding,
        message: impl Into<String>,
        repairable: bool,
    ) {
        if finding.count > 0 {
            let samples = finding.samples.clone();
            let message = message.into();
            self.problems.push(ReportedProblem { code, count: finding.count, message, repairable, samples });
        }
    }

    /// Adds a problem that concerns the structure of the tables, if `samples` has any cases.
    pub(super) fn add_structure(
        &mut self,
        code: &'static str,
        message: &str,
        samples: Vec<Value>,
        repairable: bool,
    ) {
        if !samples.is_empty() {
            let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
            let message = message.to_owned();
            self.problems.push(ReportedProblem { code, count, message, repairable, samples });
        }
    }
}
