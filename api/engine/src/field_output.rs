//! The return types of fields that can fail.

/// A return type of a field that can hold an error. `#[guarded_fields]` returns the error of a check with it.
pub trait FieldOutput<E> {
    /// Returns this error from the field.
    fn of_error(error: E) -> Self;
}

impl<T, E, F: From<E>> FieldOutput<E> for Result<T, F> {
    fn of_error(error: E) -> Self {
        Err(error.into())
    }
}

/// A nullable field: an error nulls only the field itself.
impl<T, E, F: From<E>> FieldOutput<E> for Option<Result<T, F>> {
    fn of_error(error: E) -> Self {
        Some(Err(error.into()))
    }
}
