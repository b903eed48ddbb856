//! Measures a document before anything walks what it expands to.
//!
//! Fragments that each spread the next one twice double at every step: 826 bytes expand to millions of fields, and
//! validating them takes seconds. Here each fragment is measured once, so that the time taken is that of the text.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};

use super::limits::{Exceeded, Limits};

/// Fields and spreads may nest this deep in all, so that walking them never exhausts the stack. Only a document
/// of fragments chained for the purpose comes here.
const DEEPEST_WALK: usize = 128;

/// What a list of selections expands to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
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
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            fields: self.fields.saturating_add(other.fields),
        }
    }
}

/// Checks a document against all limits but its tokens and its cost. Operations are counted together: all of
/// them are validated, whichever is run.
pub(super) fn check(document: &Document, limits: &Limits) -> Result<(), Exceeded> {
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
        if measure.fields > limits.root_fields {
            return Err(Exceeded::new("rootFields", limits.root_fields));
        }
        total = total.beside(measure);
    }
    within(total, limits)?;
    // Those that nothing spreads are validated too.
    for fragment in fragments.values() {
        within(surveyor.fragment(fragment, 0, limits)?, limits)?;
    }
    Ok(())
}

fn within(measure: Measure, limits: &Limits) -> Result<(), Exceeded> {
    for (limit, value, maximum) in [
        ("depth", measure.depth, limits.depth),
        ("aliases", measure.aliases, limits.aliases),
        ("directives", measure.directives, limits.directives),
        ("selections", measure.selections, limits.selections),
    ] {
        if value > maximum {
            return Err(Exceeded::new(limit, maximum));
        }
    }
    Ok(())
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
        if level > DEEPEST_WALK {
            return Err(Exceeded::new("depth", limits.depth));
        }
        let mut total = Measure::default();
        for selection in selections {
            let measure = match selection {
                Selection::Field(field) => {
                    let below = self.measure(&field.selection_set, level + 1, limits)?;
                    Measure {
                        depth: below.depth + 1,
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
            return Ok(measured.unwrap_or_default());
        }
        self.measured.insert(&fragment.name, None);
        let measure =
            spread(self.measure(&fragment.selection_set, level, limits)?, fragment.directives.len());
        self.measured.insert(&fragment.name, Some(measure));
        Ok(measure)
    }
}

fn spread(below: Measure, directives: usize) -> Measure {
    Measure {
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

    fn refused(document: &str) -> Option<&'static str> {
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
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(51))), Some("rootFields"));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "b ".repeat(2_000))), Some("selections"));
        assert_eq!(refused(&format!("{{ a {{ {} }} }}", "x: b ".repeat(101))), Some("aliases"));
        assert_eq!(refused(&format!("{{ a {} }}", "@b ".repeat(101))), Some("directives"));
        assert_eq!(refused(&format!("{{ a {{ a {}{} }} }}", "...{ a ".repeat(3), "}".repeat(3))), None);
        assert_eq!(refused(&format!("{}{}", "{ a ".repeat(21), "}".repeat(21))), Some("depth"));
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
        assert_eq!(refused(&short), Some("selections"));
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
        assert_eq!(refused(&fan), Some("selections"));
    }
}
