//! The values that an expression can read while the rules run with an answer.

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
    /// Returns the marks that the mapping of a response gives the answer. Without a mapping, the correct response has
    /// the mark 1, and any other answer has 0.
    fn mapped(&self, identifier: &str) -> Value;
    /// Uses one of the steps that scoring an item may take. Returns false if no step is left.
    fn take_step(&self) -> bool;
    /// Records a number at which a comparison can change. Ignores other values, and the answer itself.
    fn tell_boundary(&self, value: &Value);
}
