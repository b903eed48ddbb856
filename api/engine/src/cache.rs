//! Caches of documents and plans, bounded by the memory that their entries take.

use std::sync::Arc;

use apollo_compiler::Name;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::document::Document;
use crate::plan::{Plan, VariableState};

const MAX_DOCUMENT_CACHE_BYTES: u64 = 32 * 1024 * 1024;
const MAX_PLAN_CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// The number of entries for which each cache reserves room when it is made.
const INITIAL_ENTRIES: usize = 1_000;
/// The memory of a validated document in bytes, for each byte of its text (measured).
const BYTES_PER_TEXT_BYTE: u64 = 20;
/// The memory of a field in a plan in bytes, with its names and its cost (measured). An argument value counts the same,
/// but takes less memory.
const BYTES_PER_PLAN_NODE: u64 = 700;
/// The memory of a cache entry in bytes, in addition to its document or plan.
const BYTES_PER_ENTRY: u64 = 2_000;

fn weight(count: usize, bytes_each: u64) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(bytes_each).saturating_add(BYTES_PER_ENTRY)
}

/// A cache of documents, by the text of the document.
pub(crate) type DocumentCache = Cache<Arc<str>, Arc<Document>, DocumentWeighter>;

pub(crate) fn documents() -> DocumentCache {
    Cache::with_weighter(INITIAL_ENTRIES, MAX_DOCUMENT_CACHE_BYTES, DocumentWeighter)
}

#[derive(Clone)]
pub(crate) struct DocumentWeighter;

impl Weighter<Arc<str>, Arc<Document>> for DocumentWeighter {
    fn weight(&self, text: &Arc<str>, _: &Arc<Document>) -> u64 {
        weight(text.len(), BYTES_PER_TEXT_BYTE)
    }
}

/// The id of a document, the name of an operation in it, and the states of the operation's variables.
pub(crate) type PlanKey = (u64, Option<Name>, Vec<VariableState>);

/// A cache of plans: one for each operation and each combination of the states of its variables.
pub(crate) type PlanCache = Cache<PlanKey, Arc<Plan>, PlanWeighter>;

pub(crate) fn plans() -> PlanCache {
    Cache::with_weighter(INITIAL_ENTRIES, MAX_PLAN_CACHE_BYTES, PlanWeighter)
}

#[derive(Clone)]
pub(crate) struct PlanWeighter;

impl Weighter<PlanKey, Arc<Plan>> for PlanWeighter {
    fn weight(&self, (_, _, states): &PlanKey, plan: &Arc<Plan>) -> u64 {
        weight(plan.size, BYTES_PER_PLAN_NODE).saturating_add(weight(states.len(), 1))
    }
}
