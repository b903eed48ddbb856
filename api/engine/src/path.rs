//! Paths of errors, where the engine cuts them off.
//!
//! An error that nulls an item of a list gets the path of the item from async-graphql, whichever field below it has
//! failed. The error still has the place of that field in the document, and so the rest of its path can be told,
//! unless another list lies between: which of its items it was is not known any more.
//! <https://spec.graphql.org/October2021/#sec-Errors>

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{PathSegment, Pos, Positioned, ServerError};

use crate::plan::Plan;

/// Completes the paths that end at an item, where the rest is beyond doubt: a field that a fragment has in two places
/// has one place in the document.
pub(crate) fn complete(plan: &Plan, errors: &mut [ServerError]) {
    for error in errors {
        let (Some(PathSegment::Index(_)), Some(place)) = (error.path.last(), error.locations.first()) else {
            continue;
        };
        let mut ways = Vec::new();
        for list in plan.root().map(|root| fields_at(root, &error.path)).unwrap_or_default() {
            find(plan, &list.node.selection_set.node, *place, &mut Vec::new(), &mut ways);
        }
        ways.dedup();
        if let [way] = ways.as_slice() {
            error.path.extend(way.iter().cloned().map(PathSegment::Field));
        }
    }
}

/// The fields that a path leads to: one for each type that has it.
fn fields_at<'p>(root: &'p SelectionSet, path: &[PathSegment]) -> Vec<&'p Positioned<Field>> {
    let (mut sets, mut found) = (vec![root], Vec::new());
    for segment in path {
        if let PathSegment::Field(key) = segment {
            let below = sets.iter().flat_map(|set| fields(set));
            found = below.filter(|field| field.node.response_key().node.as_str() == key).collect();
            sets = found.iter().map(|field| &field.node.selection_set.node).collect();
        }
    }
    found
}

/// Adds the keys that lead to each field at this place.
fn find(plan: &Plan, set: &SelectionSet, place: Pos, keys: &mut Vec<String>, ways: &mut Vec<Vec<String>>) {
    for field in fields(set) {
        keys.push(field.node.response_key().node.to_string());
        if field.pos == place {
            ways.push(keys.clone());
        } else if !plan.is_list(field.pos) {
            find(plan, &field.node.selection_set.node, place, keys, ways);
        }
        keys.pop();
    }
}

/// The fields of a selection set and of the fragments in it.
fn fields(set: &SelectionSet) -> Box<dyn Iterator<Item = &Positioned<Field>> + '_> {
    Box::new(set.items.iter().flat_map(|selection| match &selection.node {
        Selection::Field(field) => Box::new(std::iter::once(field)) as Box<dyn Iterator<Item = _>>,
        Selection::InlineFragment(inline) => fields(&inline.node.selection_set.node),
        Selection::FragmentSpread(_) => Box::new(std::iter::empty()),
    }))
}
