//! Measures a document before anything walks what it expands to.
//!
//! Fragments that each spread the next one twice double at every step: 826 bytes expand to millions of fields, and
//! validating them takes seconds. Here each fragment is measured once, so that the time taken is that of the text.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};

use crate::limits::{Exceeded, Limit, Limits};

/// Fields, inline fragments and spreads may nest this deep in all, so that walking them never exhausts the stack.
/// Only a document of fragments chained for the purpose comes here.
const DEEPEST_WALK: usize = 128;

/// What a list of selections expands to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
    /// As `depth`, with the levels of fragments.
    height: usize,
    selections: usize,
    aliases: usize,
    directives: usize,
    /// Fields of the list itself, those of spread fragments included.
    fields: usize,
}

impl Measure {
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

/// Checks a document against all limits but its tokens and its cost. Operations are counted together: all of
/// them are validated, whichever is run.
pub(crate) fn check(document: &Document, limits: &Limits) -> Result<(), Exceeded> {
    let mut fragments = HashMap::new();
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::FragmentDefinition(fragment) => {
                fragments.insert(&fragment.name, &**fragment);
            }
            Definition::OperationDefinition(operation) => operations.push(&**operation),
            // Not executable; validation says so.
            _ => {}
        }
    }
    let mut surveyor = Surveyor { fragments: &fragments, measured: HashMap::new() };
    let mut total = Measure::default();
    for operation in operations {
        let mut measure = surveyor.measure(&operation.selection_set, 0, limits)?;
        measure.directives += operation.directives.len();
        measure.directives += operation.variables.iter().map(|it| it.directives.len()).sum::<usize>();
        within(measure.fields, Limit::RootFields, limits.root_fields)?;
        total = total.beside(measure);
    }
    check_measure(total, limits)?;
    // Those that nothing spreads are validated too.
    for fragment in fragments.values() {
        check_measure(surveyor.fragment(fragment, 0, limits)?, limits)?;
    }
    Ok(())
}

fn check_measure(measure: Measure, limits: &Limits) -> Result<(), Exceeded> {
    within(measure.depth, Limit::Depth, limits.depth)?;
    within(measure.aliases, Limit::Aliases, limits.aliases)?;
    within(measure.directives, Limit::Directives, limits.directives)?;
    within(measure.selections, Limit::Selections, limits.selections)
}

fn within(value: usize, limit: Limit, maximum: u32) -> Result<(), Exceeded> {
    match u32::try_from(value) {
        Ok(value) if value <= maximum => Ok(()),
        _ => Err(Exceeded { limit, maximum }),
    }
}

struct Surveyor<'d> {
    fragments: &'d HashMap<&'d Name, &'d FragmentDefinition>,
    /// None while a fragment is being measured: one that spreads itself is for validation to refuse.
    measured: HashMap<&'d Name, Option<Measure>>,
}

impl<'d> Surveyor<'d> {
    fn measure(
        &mut self,
        selections: &'d [Selection],
        level: usize,
        limits: &Limits,
    ) -> Result<Measure, Exceeded> {
        check_walk(level, limits)?;
        let mut total = Measure::default();
        for selection in selections {
            let measure = match selection {
                Selection::Field(field) => {
                    let below = self.measure(&field.selection_set, level + 1, limits)?;
                    Measure {
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
                    spread(below, inline.directives.len())
                }
                Selection::FragmentSpread(named) => {
                    let below = match self.fragments.get(&named.fragment_name).copied() {
                        Some(fragment) => self.fragment(fragment, level + 1, limits)?,
                        None => Measure::default(),
                    };
                    spread(below, named.directives.len())
                }
            };
            total = total.beside(measure);
        }
        Ok(total)
    }

    fn fragment(
        &mut self,
        fragment: &'d FragmentDefinition,
        level: usize,
        limits: &Limits,
    ) -> Result<Measure, Exceeded> {
        if let Some(measured) = self.measured.get(&fragment.name) {
            let measured = measured.unwrap_or_default();
            check_walk(level + measured.height, limits)?;
            return Ok(measured);
        }
        self.measured.insert(&fragment.name, None);
        let measure =
            spread(self.measure(&fragment.selection_set, level, limits)?, fragment.directives.len());
        self.measured.insert(&fragment.name, Some(measure));
        Ok(measure)
    }
}

fn check_walk(level: usize, limits: &Limits) -> Result<(), Exceeded> {
    if level > DEEPEST_WALK {
        return Err(Exceeded { limit: Limit::Depth, maximum: limits.depth });
    }
    Ok(())
}

fn spread(below: Measure, directives: usize) -> Measure {
    Measure {
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
        check(&document, &Limits::default()).err().map(|exceeded| exceeded.limit)
    }

    #[test]
    fn what_people_send_is_within() {
        assert_eq!(refused("{ viewer { id ...F } } fragment F on User { name }"), None);
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(50))), None);
        assert_eq!(refused(&format!("{}a{}", "{ a ".repeat(19), "}".repeat(19))), None);
    }

    #[test]
    fn each_limit_is_named() {
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(51))), Some(Limit::RootFields));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "b ".repeat(2_000))), Some(Limit::Selections));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "x: b ".repeat(101))), Some(Limit::Aliases));
        assert_eq!(refused(&format!("{{ a {} }}", "@b ".repeat(101))), Some(Limit::Directives));
        assert_eq!(refused(&format!("{{ a {{ a {}{} }} }}", "...{ a ".repeat(3), "}".repeat(3))), None);
        assert_eq!(refused(&format!("{}{}", "{ a ".repeat(21), "}".repeat(21))), Some(Limit::Depth));
    }

    #[test]
    fn a_fan_of_fragments_is_measured_without_being_expanded() {
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

    /// Each chain is within the depth of a walk, and they are measured from the last to the first.
    #[test]
    fn chains_that_were_measured_before_still_count() {
        let (open, close) = ("...{".repeat(90), "}".repeat(90));
        let mut document = "{ a { ...F5 ...F4 ...F3 ...F2 ...F1 ...F0 } }".to_owned();
        for step in 0..5 {
            let _ = write!(document, " fragment F{step} on A {{ {open} ...F{} {close} }}", step + 1);
        }
        document.push_str(" fragment F5 on A { a }");
        assert_eq!(refused(&document), Some(Limit::Depth));
    }

    #[test]
    fn a_fragment_in_itself_is_left_to_validation() {
        assert_eq!(refused("{ ...F } fragment F on Query { a { ...G } } fragment G on A { ...F }"), None);
    }

    #[test]
    fn a_fan_that_nothing_spreads_is_refused_as_well() {
        let mut fan = "{ a }".to_owned();
        for step in 0..40 {
            let _ = write!(fan, " fragment F{step} on A {{ ...F{0} ...F{0} }}", step + 1);
        }
        fan.push_str(" fragment F40 on A { a }");
        assert_eq!(refused(&fan), Some(Limit::Selections));
    }
}
