//! Cursors: the texts of positions in lists.
//!
//! A cursor has about 16 characters of base64. The characters encode these bytes: the format, a tag of the list and its
//! order, the numbers of the position, and a check byte. A cursor only says where a page of a list begins that the
//! client may read anyway. So it needs no signature: a forged cursor shows nothing that the list does not show.
//!
//! Older versions of the server wrote the name of the list and the position as JSON in base64. Clients may have kept
//! such cursors, so the server still reads them.

use std::borrow::Cow;

use async_graphql::async_trait::async_trait;
use async_graphql::parser::types::{Field, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use graphql_engine::{NotAtHand, PlainJson, PlainOutput};
use serde::de::DeserializeOwned;

use super::error::{ApiError, ApiResult};
use jishu_service::card::CardPosition;

/// The first byte of a cursor in the present format.
const FORMAT: u8 = 1;
/// The number of bytes before the numbers of the position: one for the format, and two for the tag of the list.
const HEAD_BYTES: usize = 3;
/// The maximum number of bytes of a cursor: the bytes before the numbers, room for five numbers of ten bytes each, and
/// the check byte.
const MAX_BYTES: usize = HEAD_BYTES + 5 * 10 + 1;
const MAX_TEXT_BYTES: usize = MAX_BYTES.div_ceil(3) * 4;

/// The position of a row in a list, which can be written as a few numbers.
pub(super) trait CursorKey: DeserializeOwned {
    /// Appends the numbers of the position to a cursor.
    fn write(&self, cursor: &mut Cursor);
    /// Makes the position from all of its numbers. Returns None if the numbers do not form a position of this type.
    fn read(numbers: &[i64]) -> Option<Self>;
}

impl CursorKey for i64 {
    fn write(&self, cursor: &mut Cursor) {
        cursor.push_number(*self);
    }

    fn read(numbers: &[i64]) -> Option<Self> {
        match numbers {
            [number] => Some(*number),
            _ => None,
        }
    }
}

impl CursorKey for CardPosition {
    fn write(&self, cursor: &mut Cursor) {
        match *self {
            Self::Number(subject, number, id) => {
                cursor.push_numbers(&[0, subject, number.into(), id]);
            }
            Self::Time(at, id) => {
                cursor.push_numbers(&[1, at.timestamp_micros(), id]);
                // The server writes times with whole microseconds. SQLite can store finer times, such as times that
                // somebody wrote with SQL.
                let nanoseconds = at.timestamp_subsec_nanos() % 1_000;
                if nanoseconds > 0 {
                    cursor.push_number(nanoseconds.into());
                }
            }
            Self::Percentage(percentage, id) => cursor.push_numbers(&[2, percentage.into(), id]),
        }
    }

    fn read(numbers: &[i64]) -> Option<Self> {
        match *numbers {
            [0, subject, number, id] => Some(Self::Number(subject, number.try_into().ok()?, id)),
            [1, microseconds, id] => Some(Self::Time(time(microseconds, 0)?, id)),
            [1, microseconds, id, nanoseconds] => Some(Self::Time(time(microseconds, nanoseconds)?, id)),
            [2, percentage, id] => Some(Self::Percentage(percentage.try_into().ok()?, id)),
            _ => None,
        }
    }
}

fn time(microseconds: i64, nanoseconds: i64) -> Option<DateTime<Utc>> {
    let is_possible = (0..1_000).contains(&nanoseconds);
    let whole = DateTime::from_timestamp_micros(microseconds).filter(|_| is_possible)?;
    whole.checked_add_signed(chrono::TimeDelta::nanoseconds(nanoseconds))
}

/// The bytes with which all cursors of one list in one order begin.
#[derive(Clone, Copy)]
pub(super) struct CursorHead(Cursor);

impl CursorHead {
    /// Makes the bytes with which the cursors of a list begin. `list` names the list and its order.
    pub(super) fn of(list: &str) -> Self {
        let mut cursor = Cursor { bytes: [0; MAX_BYTES], length: 0 };
        cursor.push(FORMAT);
        for byte in tag(list) {
            cursor.push(byte);
        }
        Self(cursor)
    }

    /// Makes the cursor of a position in the list.
    pub(super) fn cursor(self, key: &impl CursorKey) -> Cursor {
        let mut cursor = self.0;
        key.write(&mut cursor);
        let check = check(cursor.bytes());
        cursor.push(check);
        cursor
    }
}

/// The opaque text of a position in a list.
///
/// The bytes are encoded as text only when the cursor is written to a response. A page has a cursor for each item, and
/// often the client does not select the cursors.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl Cursor {
    /// Reads the position of a cursor that a client sent. `argument` names the argument, and `list` the list and its
    /// order. Fails with `BAD_USER_INPUT` for a cursor of another list or order, and for a damaged cursor.
    pub(super) fn parse<K: CursorKey>(sent: &str, argument: &str, list: &str) -> ApiResult<K> {
        let foreign = || {
            ApiError::bad_input(format!(
                "`{argument}` is not a cursor of this list. Take cursors from `edges.cursor` or `pageInfo`."
            ))
        };
        let other_list = || {
            ApiError::bad_input(format!(
                "`{argument}` is a cursor of another list or order. Use a cursor only in the list, and with the \
                 `orderBy`, from which you got it."
            ))
        };
        let bytes = URL_SAFE_NO_PAD.decode(sent).map_err(|_| foreign())?;
        if bytes.first() == Some(&b'[') {
            let (of, key): (String, serde_json::Value) =
                serde_json::from_slice(&bytes).map_err(|_| foreign())?;
            if of != list {
                return Err(other_list());
            }
            return serde_json::from_value(key).map_err(|_| foreign());
        }
        let (last, checked) = bytes.split_last().ok_or_else(foreign)?;
        let Some(([FORMAT, of @ ..], numbers)) = checked.split_first_chunk::<HEAD_BYTES>() else {
            return Err(foreign());
        };
        if *last != check(checked) {
            return Err(foreign());
        }
        if *of != tag(list) {
            return Err(other_list());
        }
        read_numbers(numbers).and_then(|numbers| K::read(&numbers)).ok_or_else(foreign)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        debug_assert!(self.length < MAX_BYTES, "a position has at most five numbers");
        if let Some(next) = self.bytes.get_mut(self.length) {
            *next = byte;
            self.length += 1;
        }
    }

    fn push_numbers(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.push_number(*number);
        }
    }

    /// Appends a number in groups of seven bits, the lowest bits first. The sign is moved to the lowest bit, so that
    /// numbers near zero take few bytes.
    fn push_number(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        loop {
            let group = rest.to_le_bytes()[0] & 0x7f;
            rest >>= 7;
            if rest == 0 {
                return self.push(group);
            }
            self.push(group | 0x80);
        }
    }

    /// Encodes the cursor as text, and calls `write` with the text.
    fn with_text<T>(&self, write: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; MAX_TEXT_BYTES];
        // The buffer has room for the longest cursor, and base64 has only ASCII.
        let length = URL_SAFE_NO_PAD.encode_slice(self.bytes(), &mut text).unwrap_or_default();
        write(std::str::from_utf8(&text[..length]).unwrap_or_default())
    }
}

/// Reads all numbers that [`Cursor::push_number`] wrote. Returns None if the bytes are not a sequence of such numbers.
fn read_numbers(mut bytes: &[u8]) -> Option<Vec<i64>> {
    let mut numbers = Vec::with_capacity(4);
    while !bytes.is_empty() {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (number, rest) = bytes.split_at(length);
        let mut folded: u128 = 0;
        for byte in number.iter().rev().take(10) {
            folded = (folded << 7) | u128::from(byte & 0x7f);
        }
        let folded = u64::try_from(folded).ok().filter(|_| length <= 10)?;
        numbers.push((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed());
        bytes = rest;
    }
    Some(numbers)
}

/// Returns the tag of a list in an order: the first two bytes of the hash of its name.
fn tag(list: &str) -> [u8; HEAD_BYTES - 1] {
    let [first, second, ..] = hash(list.as_bytes()).to_le_bytes();
    [first, second]
}

/// Returns the check byte of the bytes before it. The check byte shows whether a cursor was cut or changed by accident.
fn check(bytes: &[u8]) -> u8 {
    // A change of one byte always changes the lowest byte of the hash.
    hash(bytes).to_le_bytes()[0]
}

/// Returns the FNV-1a hash of some bytes. The hash function must never change, because clients keep cursors.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.with_text(str::to_owned)
    }
}

/// In the schema, a cursor has the type `String`.
#[async_trait]
impl OutputType for Cursor {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(String::from(*self)))
    }
}

impl PlainOutput for Cursor {
    type Selection = ();

    fn compile(_: &SelectionSet) -> Option<()> {
        Some(())
    }

    fn write(&self, (): &(), json: &mut PlainJson) -> Result<(), NotAtHand> {
        json.push(b'"');
        self.with_text(|text| json.extend_from_slice(text.as_bytes()));
        json.push(b'"');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(list: &str, key: &impl CursorKey) -> String {
        CursorHead::of(list).cursor(key).into()
    }

    fn positions() -> Vec<CardPosition> {
        let at = |seconds, nanoseconds| DateTime::from_timestamp(seconds, nanoseconds).unwrap();
        let mut positions = vec![
            CardPosition::Number(1, 1, 1),
            CardPosition::Number(12, 50, 2_070_000),
            CardPosition::Number(i64::MAX, i32::MIN, i64::MIN),
            CardPosition::Time(at(1_795_000_000, 123_456_000), 2_070_000),
            CardPosition::Time(at(1_795_000_000, 123_456_789), 1),
            CardPosition::Time(at(-1, 999_999_999), 1),
            CardPosition::Time(at(250_000_000_000, 0), i64::MAX),
            CardPosition::Percentage(-2_500, 7),
            CardPosition::Percentage(i32::MAX, i64::MIN),
        ];
        for power in 0..63 {
            let number = 1_i64 << power;
            positions.push(CardPosition::Number(number, 0, -number));
            positions.push(CardPosition::Number(number - 1, 1, 1 - number));
        }
        positions
    }

    #[test]
    fn a_cursor_is_read_back() {
        for position in positions() {
            let cursor = text("List.asc", &position);
            assert_eq!(Cursor::parse::<CardPosition>(&cursor, "after", "List.asc").unwrap(), position);
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(Cursor::parse::<i64>(&text("List", &number), "after", "List").unwrap(), number);
        }
    }

    #[test]
    fn a_cursor_is_short() {
        // Clients keep cursors, so these texts must never change.
        assert_eq!(
            text("MockTestAttempt.SubjectTestNumber.asc", &CardPosition::Number(12, 50, 2_070_000)),
            "AWy6ABhk4Nf8AZg"
        );
        assert_eq!(text("Purchase", &1_i64), "AYLbApM");
    }

    #[test]
    fn cursors_of_older_versions_are_read() {
        for position in positions() {
            let json = serde_json::to_vec(&("List.asc", position)).unwrap();
            let cursor = URL_SAFE_NO_PAD.encode(json);
            assert_eq!(Cursor::parse::<CardPosition>(&cursor, "after", "List.asc").unwrap(), position);
            assert!(Cursor::parse::<CardPosition>(&cursor, "after", "List.desc").is_err());
        }
    }

    #[test]
    fn what_is_not_a_cursor_of_the_list_is_refused() {
        let cursor = text("List", &CardPosition::Number(12, 50, 2_070_000));
        let error = |sent: &str| match Cursor::parse::<CardPosition>(sent, "after", "List") {
            Err(ApiError::BadUserInput(message)) => message,
            other => panic!("{sent}: {other:?}"),
        };
        let not_a_cursor = error("");
        assert!(not_a_cursor.contains("is not a cursor of this list"), "{not_a_cursor}");
        let other = text("Other", &CardPosition::Number(12, 50, 2_070_000));
        assert!(error(&other).contains("of another list or order"));
        for length in 0..cursor.len() {
            assert_eq!(error(&cursor[..length]), not_a_cursor, "{length}");
        }
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for (index, flipped) in (0..bytes.len()).flat_map(|index| (0..8).map(move |bit| (index, 1_u8 << bit)))
        {
            let mut changed = bytes.clone();
            changed[index] ^= flipped;
            assert_eq!(error(&URL_SAFE_NO_PAD.encode(changed)), not_a_cursor, "{index} {flipped}");
        }
        // This cursor has one number, but the position of a card has more.
        assert_eq!(error(&text("List", &1_i64)), not_a_cursor);
    }
}
