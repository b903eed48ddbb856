//! Paths of errors, where the engine cuts them off.
//!
//! An error that nulls an item of a list gets the path of the item from async-graphql, whichever field below it has
//! failed. The error still has the place of that field in the document, and so the rest of its path can be told,
//! unless another list lies between: which of its items it was is not known any more.
//! <https://spec.graphql.org/October2021/#sec-Errors>

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{PathSegment, Pos, Positioned, ServerError};

use super::plan::Plan;

/// Completes the paths that end at an item.
pub(super) fn complete(plan: &Plan, errors: &mut [ServerError]) {
    for error in errors {
        let (Some(PathSegment::Index(_)), Some(place)) = (error.path.last(), error.locations.first()) else {
            continue;
        };
        let Some(list) = plan.root().and_then(|root| field_at(root, &error.path)) else { continue };
        let mut rest = Vec::new();
        if leads_to(plan, &list.node.selection_set.node, *place, &mut rest) {
            error.path.extend(rest.into_iter().map(PathSegment::Field));
        }
    }
}

/// The field that a path leads to.
fn field_at<'p>(mut set: &'p SelectionSet, path: &[PathSegment]) -> Option<&'p Positioned<Field>> {
    let mut found = None;
    for segment in path {
        if let PathSegment::Field(key) = segment {
            let field = fields(set).find(|field| field.node.response_key().node.as_str() == key)?;
            set = &field.node.selection_set.node;
            found = Some(field);
        }
    }
    found
}

/// Whether a field at this place is below, with the keys that lead there.
fn leads_to(plan: &Plan, set: &SelectionSet, place: Pos, keys: &mut Vec<String>) -> bool {
    for field in fields(set) {
        keys.push(field.node.response_key().node.to_string());
        let is_on_the_way =
            !plan.is_list(field.pos) && leads_to(plan, &field.node.selection_set.node, place, keys);
        if field.pos == place || is_on_the_way {
            return true;
        }
        keys.pop();
    }
    false
}

/// The fields of a selection set and of the fragments in it.
fn fields(set: &SelectionSet) -> Box<dyn Iterator<Item = &Positioned<Field>> + '_> {
    Box::new(set.items.iter().flat_map(|selection| match &selection.node {
        Selection::Field(field) => Box::new(std::iter::once(field)) as Box<dyn Iterator<Item = _>>,
        Selection::InlineFragment(inline) => fields(&inline.node.selection_set.node),
        Selection::FragmentSpread(_) => Box::new(std::iter::empty()),
    }))
}
