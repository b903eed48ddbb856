//! The values that an expression can read while rules run with an answer.

use super::value::Value;

/// The variables of an item, and the answer that is scored.
pub(super) trait Scope {
    /// Returns the answer that is scored.
    fn answer(&self) -> &Value;
    /// Returns the value of a variable.
    fn variable(&self, identifier: &str) -> Value;
    /// Returns the correct value of a response.
    fn correct(&self, identifier: &str) -> Value;
    /// Returns the default value of a response or an outcome.
    fn default_of(&self, identifier: &str) -> Value;
    /// Returns the marks that the mapping of a response gives. Without a mapping, only the correct response has marks.
    fn mapped(&self, identifier: &str) -> Value;
    /// Takes one of the steps in which an item may be scored. Returns false if no step is left.
    fn take_step(&self) -> bool;
    /// Notes a number at which a comparison can change.
    fn tell_boundary(&self, value: &Value);
}
