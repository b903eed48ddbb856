//! Measures a document before anything expands its fragments.
//!
//! If each fragment spreads the next one twice, the number of fields doubles with each fragment. A document of 826
//! bytes can expand to millions of fields, and its validation then takes seconds. This module measures each fragment
//! once, so the time that it takes grows only with the length of the text.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};

use crate::limits::{DocumentLimits, Limit, LimitExceeded};

/// Maximum number of nested fields, inline fragments and spreads together. The limit keeps the recursion in this module
/// and in later steps from exhausting the stack. No ordinary document comes near this limit.
const MAX_WALK_DEPTH: usize = 128;

/// The size that a selection set has with its fragments expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measurement {
    /// The greatest number of fields that are nested in each other.
    depth: usize,
    /// The greatest number of fields and fragments that are nested in each other.
    height: usize,
    selections: usize,
    aliases: usize,
    directives: usize,
    /// The number of fields in the selection set itself, including the fields of its fragments, but without nested
    /// fields.
    fields: usize,
}

impl Measurement {
    /// Returns the size of a selection set that has the selections of both measured selection sets.
    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            height: self.height.max(other.height),
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            fields: self.fields.saturating_add(other.fields),
        }
    }
}

/// Checks a document against all limits except those of tokens, costs and errors. Counts all operations together,
/// because all of them are validated, even if only one of them runs. The limit of root fields applies to each operation
/// alone.
pub(crate) fn check(document: &Document, limits: &DocumentLimits) -> Result<(), LimitExceeded> {
    let mut fragments = HashMap::new();
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::FragmentDefinition(fragment) => {
                fragments.insert(&fragment.name, &**fragment);
            }
            Definition::OperationDefinition(operation) => operations.push(&**operation),
            // The definition of a type, which validation refuses later.
            _ => {}
        }
    }
    let mut measurer = Measurer { fragments: &fragments, measured: HashMap::new() };
    let mut total = Measurement::default();
    for operation in operations {
        let mut measure = measurer.measure(&operation.selection_set, 0, limits)?;
        measure.directives += operation.directives.len();
        measure.directives += operation.variables.iter().map(|it| it.directives.len()).sum::<usize>();
        within(measure.fields, Limit::RootFields, limits.root_fields)?;
        total = total.beside(measure);
    }
    check_measure(total, limits)?;
    // Validation also checks fragments that no operation spreads, so these fragments must be within the limits too.
    for fragment in fragments.values() {
        check_measure(measurer.fragment(fragment, 0, limits)?, limits)?;
    }
    Ok(())
}

fn check_measure(measure: Measurement, limits: &DocumentLimits) -> Result<(), LimitExceeded> {
    within(measure.depth, Limit::Depth, limits.depth)?;
    within(measure.aliases, Limit::Aliases, limits.aliases)?;
    within(measure.directives, Limit::Directives, limits.directives)?;
    within(measure.selections, Limit::Selections, limits.selections)
}

fn within(value: usize, limit: Limit, maximum: u32) -> Result<(), LimitExceeded> {
    match u32::try_from(value) {
        Ok(value) if value <= maximum => Ok(()),
        _ => Err(LimitExceeded { limit, maximum }),
    }
}

struct Measurer<'d> {
    fragments: &'d HashMap<&'d Name, &'d FragmentDefinition>,
    /// The sizes of the fragments that were measured so far. The size is `None` while a fragment is being measured, so
    /// that a fragment that spreads itself does not recurse for ever. Validation refuses such a fragment later.
    measured: HashMap<&'d Name, Option<Measurement>>,
}

impl<'d> Measurer<'d> {
    /// Measures a selection set at this level of nesting. Fails if the nesting exceeds `MAX_WALK_DEPTH`.
    fn measure(
        &mut self,
        selections: &'d [Selection],
        level: usize,
        limits: &DocumentLimits,
    ) -> Result<Measurement, LimitExceeded> {
        check_walk(level, limits)?;
        let mut total = Measurement::default();
        for selection in selections {
            let measure = match selection {
                Selection::Field(field) => {
                    let below = self.measure(&field.selection_set, level + 1, limits)?;
                    Measurement {
                        depth: below.depth + 1,
                        height: below.height + 1,
                        selections: below.selections.saturating_add(1),
                        aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                        directives: below.directives.saturating_add(field.directives.len()),
                        fields: 1,
                    }
                }
                Selection::InlineFragment(inline) => {
                    let below = self.measure(&inline.selection_set, level + 1, limits)?;
                    with_fragment(below, inline.directives.len())
                }
                Selection::FragmentSpread(named) => {
                    let below = match self.fragments.get(&named.fragment_name).copied() {
                        Some(fragment) => self.fragment(fragment, level + 1, limits)?,
                        None => Measurement::default(),
                    };
                    with_fragment(below, named.directives.len())
                }
            };
            total = total.beside(measure);
        }
        Ok(total)
    }

    /// Measures a fragment that is spread at this level of nesting, or returns the size that was measured before. Fails
    /// if the nesting exceeds `MAX_WALK_DEPTH`.
    fn fragment(
        &mut self,
        fragment: &'d FragmentDefinition,
        level: usize,
        limits: &DocumentLimits,
    ) -> Result<Measurement, LimitExceeded> {
        if let Some(measured) = self.measured.get(&fragment.name) {
            let measured = measured.unwrap_or_default();
            check_walk(level + measured.height, limits)?;
            return Ok(measured);
        }
        self.measured.insert(&fragment.name, None);
        let measure =
            with_fragment(self.measure(&fragment.selection_set, level, limits)?, fragment.directives.len());
        self.measured.insert(&fragment.name, Some(measure));
        Ok(measure)
    }
}

fn check_walk(level: usize, limits: &DocumentLimits) -> Result<(), LimitExceeded> {
    if level > MAX_WALK_DEPTH {
        return Err(LimitExceeded { limit: Limit::Depth, maximum: limits.depth });
    }
    Ok(())
}

/// Makes the size of a fragment from the size of its selection set: adds the fragment itself and its directives.
fn with_fragment(below: Measurement, directives: usize) -> Measurement {
    Measurement {
        height: below.height + 1,
        selections: below.selections.saturating_add(1),
        directives: below.directives.saturating_add(directives),
        ..below
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use apollo_compiler::parser::Parser;

    use super::*;

    fn refused(document: &str) -> Option<Limit> {
        let document = Parser::new().recursion_limit(10_000).parse_ast(document, "test.graphql").unwrap();
        check(&document, &DocumentLimits::default()).err().map(|exceeded| exceeded.limit)
    }

    #[test]
    fn ordinary_documents_are_within_the_limits() {
        assert_eq!(refused("{ viewer { id ...F } } fragment F on User { name }"), None);
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(50))), None);
        assert_eq!(refused(&format!("{}a{}", "{ a ".repeat(19), "}".repeat(19))), None);
    }

    #[test]
    fn the_refusal_names_the_limit() {
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(51))), Some(Limit::RootFields));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "b ".repeat(2_000))), Some(Limit::Selections));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "x: b ".repeat(101))), Some(Limit::Aliases));
        assert_eq!(refused(&format!("{{ a {} }}", "@b ".repeat(101))), Some(Limit::Directives));
        assert_eq!(refused(&format!("{{ a {{ a {}{} }} }}", "...{ a ".repeat(3), "}".repeat(3))), None);
        assert_eq!(refused(&format!("{}{}", "{ a ".repeat(21), "}".repeat(21))), Some(Limit::Depth));
    }

    #[test]
    fn fragments_that_double_are_measured_without_expansion() {
        let mut fan = "{ a { ...F0 } }".to_owned();
        for step in 0..400 {
            let _ = write!(fan, " fragment F{step} on A {{ ...F{0} ...F{0} }}", step + 1);
        }
        fan.push_str(" fragment F400 on A { a }");
        assert!(refused(&fan).is_some());
        let mut short = "{ a { ...F0 } }".to_owned();
        for step in 0..40 {
            let _ = write!(short, " fragment F{step} on A {{ ...F{0} ...F{0} }}", step + 1);
        }
        short.push_str(" fragment F40 on A { a }");
        assert_eq!(refused(&short), Some(Limit::Selections));
    }

    /// Each of the six fragments alone is within `MAX_WALK_DEPTH`, but each spreads the next one, so together they are
    /// not. The document spreads the last fragment first, so every fragment is measured before the fragment that
    /// spreads it.
    #[test]
    fn chains_of_fragments_that_were_measured_earlier_still_count() {
        let (open, close) = ("...{".repeat(90), "}".repeat(90));
        let mut document = "{ a { ...F5 ...F4 ...F3 ...F2 ...F1 ...F0 } }".to_owned();
        for step in 0..5 {
            let _ = write!(document, " fragment F{step} on A {{ {open} ...F{} {close} }}", step + 1);
        }
        document.push_str(" fragment F5 on A { a }");
        assert_eq!(refused(&document), Some(Limit::Depth));
    }

    #[test]
    fn a_fragment_that_spreads_itself_is_left_to_validation() {
        assert_eq!(refused("{ ...F } fragment F on Query { a { ...G } } fragment G on A { ...F }"), None);
    }

    #[test]
    fn fragments_that_double_are_refused_even_if_nothing_spreads_them() {
        let mut fan = "{ a }".to_owned();
        for step in 0..40 {
            let _ = write!(fan, " fragment F{step} on A {{ ...F{0} ...F{0} }}", step + 1);
        }
        fan.push_str(" fragment F40 on A { a }");
        assert_eq!(refused(&fan), Some(Limit::Selections));
    }
}
