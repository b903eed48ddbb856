//! Completes the paths of errors below lists.
//!
//! A field below an item of a list can fail, so that the item becomes null. Then async-graphql gives the error the path
//! of the item, not of the field. The error still has the location of the field in the document. The missing end of the
//! path follows from that location, unless another list is between the item and the field. Then the index in that other
//! list is lost.
//! <https://spec.graphql.org/October2021/#sec-Errors>

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{PathSegment, Pos, Positioned, ServerError};

use crate::plan::Plan;

/// Completes each path that ends at an item of a list, if the plan has only one way from the item to the field. Leaves
/// all other paths as they are. A field in a fragment that is spread twice has one location but two ways.
pub(crate) fn complete(plan: &Plan, errors: &mut [ServerError]) {
    for error in errors {
        let (Some(PathSegment::Index(_)), Some(location)) = (error.path.last(), error.locations.first())
        else {
            continue;
        };
        let mut ways = Vec::new();
        for list in plan.root().map(|root| fields_at(root, &error.path)).unwrap_or_default() {
            find(plan, &list.node.selection_set.node, *location, &mut Vec::new(), &mut ways);
        }
        ways.dedup();
        if let [way] = ways.as_slice() {
            error.path.extend(way.iter().cloned().map(PathSegment::Field));
        }
    }
}

/// Finds the fields of the plan at a path, ignoring indexes. There can be several fields if an abstract type is on the
/// path: one for each object type.
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

/// Adds to `ways` the response keys on the way from `set` to each field at `location`. Does not search below fields
/// that return lists.
fn find(plan: &Plan, set: &SelectionSet, location: Pos, keys: &mut Vec<String>, ways: &mut Vec<Vec<String>>) {
    for field in fields(set) {
        keys.push(field.node.response_key().node.to_string());
        if field.pos == location {
            ways.push(keys.clone());
        } else if !plan.is_list(field.pos) {
            find(plan, &field.node.selection_set.node, location, keys, ways);
        }
        keys.pop();
    }
}

/// Returns the fields of a selection set, including those in its inline fragments.
fn fields(set: &SelectionSet) -> Box<dyn Iterator<Item = &Positioned<Field>> + '_> {
    Box::new(set.items.iter().flat_map(|selection| match &selection.node {
        Selection::Field(field) => Box::new(std::iter::once(field)) as Box<dyn Iterator<Item = _>>,
        Selection::InlineFragment(inline) => fields(&inline.node.selection_set.node),
        Selection::FragmentSpread(_) => Box::new(std::iter::empty()),
    }))
}
