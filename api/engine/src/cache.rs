//! What is kept of documents that come again, bounded by the memory it takes.

use std::sync::Arc;

use apollo_compiler::Name;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::document::Document;
use crate::plan::{Given, Plan};

const DOCUMENTS_BYTES: u64 = 32 * 1024 * 1024;
const PLANS_BYTES: u64 = 32 * 1024 * 1024;
/// Measured: a validated document takes about 20 times its text.
const BYTES_OF_TEXT: u64 = 20;
/// Measured: a planned field with its names and its cost takes some 700 bytes, a value less.
const BYTES_OF_PART: u64 = 700;
/// What an entry takes besides.
const BYTES_OF_ENTRY: u64 = 2_000;

fn weight(parts: usize, bytes: u64) -> u64 {
    u64::try_from(parts).unwrap_or(u64::MAX).saturating_mul(bytes).saturating_add(BYTES_OF_ENTRY)
}

/// Documents by their text.
pub(crate) type Documents = Cache<Arc<str>, Arc<Document>, ByText>;

pub(crate) fn documents() -> Documents {
    Cache::with_weighter(1_000, DOCUMENTS_BYTES, ByText)
}

#[derive(Clone)]
pub(crate) struct ByText;

impl Weighter<Arc<str>, Arc<Document>> for ByText {
    fn weight(&self, text: &Arc<str>, _: &Arc<Document>) -> u64 {
        weight(text.len(), BYTES_OF_TEXT)
    }
}

/// A document's id, which of its operations, and what its variables decide.
pub(crate) type PlanKey = (u64, Option<Name>, Vec<Given>);

/// Plans of operations: one for each combination of variables that are given and booleans that are true.
pub(crate) type Plans = Cache<PlanKey, Arc<Plan>, BySize>;

pub(crate) fn plans() -> Plans {
    Cache::with_weighter(1_000, PLANS_BYTES, BySize)
}

#[derive(Clone)]
pub(crate) struct BySize;

impl Weighter<PlanKey, Arc<Plan>> for BySize {
    fn weight(&self, (_, _, given): &PlanKey, plan: &Arc<Plan>) -> u64 {
        weight(plan.size, BYTES_OF_PART).saturating_add(weight(given.len(), 1))
    }
}
