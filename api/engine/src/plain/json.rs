//! The JSON to which plain fields append their values.

use std::any::Any;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

/// Maximum number of shared objects whose JSON is remembered for copies. The items of a page usually refer to only a
/// few shared objects.
const MAX_SHARED: usize = 32;

/// The JSON to which plain fields append their values: a vector of bytes that also remembers where the JSON of shared
/// objects is.
#[derive(Default)]
pub struct PlainJson {
    bytes: Vec<u8>,
    shared: Vec<Shared>,
}

/// An object that was written before. If another object also refers to this object, its JSON can be copied.
struct Shared {
    /// The written object. As long as this reference to the object exists, no other object can have its address.
    object: Arc<dyn Any + Send + Sync>,
    /// The address of the compiled selection with which the object was written.
    selection: usize,
    json: Range<usize>,
}

impl PlainJson {
    /// Returns the bytes of the JSON.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends a copy of the JSON of an object if the object was written before with the same selection. Returns
    /// whether it appended a copy.
    pub(super) fn copy_shared<T, S>(&mut self, object: &Arc<T>, selection: &S) -> bool {
        let (object, selection) = (Arc::as_ptr(object).addr(), std::ptr::from_ref(selection).addr());
        let is_same = |it: &&Shared| Arc::as_ptr(&it.object).addr() == object && it.selection == selection;
        let Some(json) = self.shared.iter().find(is_same).map(|it| it.json.clone()) else { return false };
        self.bytes.extend_from_within(json);
        true
    }

    /// Remembers the JSON of an object, which has just been written and begins at `start`. Does nothing if `MAX_SHARED`
    /// objects are remembered already.
    pub(super) fn keep_shared<T, S>(&mut self, object: &Arc<T>, selection: &S, start: usize)
    where
        T: Any + Send + Sync,
    {
        if self.shared.len() < MAX_SHARED {
            let object = Arc::clone(object) as Arc<dyn Any + Send + Sync>;
            let selection = std::ptr::from_ref(selection).addr();
            self.shared.push(Shared { object, selection, json: start..self.bytes.len() });
        }
    }
}

impl Deref for PlainJson {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for PlainJson {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_object_with_the_same_selection_is_copied() {
        let (mut json, selections) = (PlainJson::default(), [1_u8, 2]);
        let first = Arc::new("first".to_owned());
        json.extend_from_slice(first.as_bytes());
        json.keep_shared(&first, &selections[0], 0);
        assert!(!json.copy_shared(&first, &selections[1]));
        // The JSON keeps a reference to each remembered object. Without it, a new object could get the address of a
        // dropped one.
        for number in 0..3 * MAX_SHARED {
            let other = Arc::new(number.to_string());
            assert!(!json.copy_shared(&other, &selections[0]));
            let start = json.len();
            json.extend_from_slice(other.as_bytes());
            json.keep_shared(&other, &selections[0], start);
        }
        let before = json.len();
        assert!(json.copy_shared(&first, &selections[0]));
        assert_eq!(&json[before..], b"first");
    }
}
