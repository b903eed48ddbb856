//! A trait for the return types of fields that can fail.

/// A return type of a field that can be an error. If the check of a permission fails, `#[guarded_fields]` makes the
/// return value of the field with this trait.
pub trait FieldOutput<E> {
    /// Makes the return value of a field that fails with this error.
    fn of_error(error: E) -> Self;
}

impl<T, E, F: From<E>> FieldOutput<E> for Result<T, F> {
    fn of_error(error: E) -> Self {
        Err(error.into())
    }
}

/// The return type of a nullable field that can fail: an error nulls only the field itself.
impl<T, E, F: From<E>> FieldOutput<E> for Option<Result<T, F>> {
    fn of_error(error: E) -> Self {
        Some(Err(error.into()))
    }
}
