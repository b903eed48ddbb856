//! Global object identification: opaque ids that contain a type and the id of a row.
//! <https://relay.dev/graphql/objectidentification.htm>

use async_graphql::{ID, Interface};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_entity::{
    AuditEventId, CourseId, MockTestAttemptId, OrderId, PurchaseId, QuestionId, RefundId, SubjectId,
    TestSessionId, UserId,
};

use super::types::{
    AuditEvent, AuthoredQuestion, Course, MockTestAttempt, Order, Purchase, Refund, Subject, TestSession,
    User,
};

/// An object with a global id, which no other object has.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The global id of the object, for `node` and for arguments. It is opaque: do not parse it."
))]
pub(super) enum Node {
    User(User),
    Course(Course),
    Subject(Subject),
    Order(Order),
    Purchase(Purchase),
    Refund(Refund),
    MockTestAttempt(MockTestAttempt),
    TestSession(TestSession),
    AuthoredQuestion(AuthoredQuestion),
    AuditEvent(AuditEvent),
}

macro_rules! global_ids {
    ($($name:ident($id:ident)),+ $(,)?) => {
        /// A parsed global id: the GraphQL type and the id of the row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum GlobalId { $($name($id)),+ }

        impl GlobalId {
            /// The names of the GraphQL types whose objects have global ids.
            #[cfg(test)]
            pub(super) const TYPES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Parses a global id. Returns `None` if the text does not have the form of a global id.
            pub(super) fn parse(id: &str) -> Option<Self> {
                let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
                let text = std::str::from_utf8(&bytes).ok()?;
                let (name, row) = text.split_once(':')?;
                let number: i64 = row.parse().ok().filter(|number| *number > 0)?;
                // Rejects "01" and "+1", so that a row has only one id.
                if number.to_string() != row {
                    return None;
                }
                match name {
                    $(stringify!($name) => Some(Self::$name($id(number))),)+
                    _ => None,
                }
            }
        }

        $(impl GlobalKey for $id {
            const TYPE: &'static str = stringify!($name);

            fn row(self) -> i64 {
                self.0
            }

            fn of(id: GlobalId) -> Option<Self> {
                match id {
                    GlobalId::$name(id) => Some(id),
                    _ => None,
                }
            }
        })+
    };
}

global_ids! {
    User(UserId),
    Course(CourseId),
    Subject(SubjectId),
    Order(OrderId),
    Purchase(PurchaseId),
    Refund(RefundId),
    MockTestAttempt(MockTestAttemptId),
    TestSession(TestSessionId),
    AuthoredQuestion(QuestionId),
    AuditEvent(AuditEventId),
}

/// The id of a row whose GraphQL object has a global id.
pub(super) trait GlobalKey: Copy {
    /// The name of the GraphQL type of the row.
    const TYPE: &'static str;
    /// Returns the primary key of the row as a number.
    fn row(self) -> i64;
    /// Returns the id of the row from a parsed global id. Returns `None` if the global id has another type.
    fn of(id: GlobalId) -> Option<Self>;

    /// Makes the global id of the row.
    fn global(self) -> ID {
        ID(URL_SAFE_NO_PAD.encode(format!("{}:{}", Self::TYPE, self.row())))
    }

    /// Parses a global id of this type. Returns `None` for an id of another type, and if the text does not have the
    /// form of a global id.
    fn parse(id: &ID) -> Option<Self> {
        GlobalId::parse(id).and_then(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_id_is_parsed_back_to_the_row_of_its_type_only() {
        let id = SubjectId(42).global();
        assert_eq!(SubjectId::parse(&id), Some(SubjectId(42)));
        assert_eq!(CourseId::parse(&id), None);
    }

    #[test]
    fn texts_that_are_not_global_ids_are_not_parsed() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for id in [
            String::new(),
            "1".to_owned(),
            "Subject:1".to_owned(),
            encoded("Subject:0"),
            encoded("Subject:-1"),
            encoded("Subject:01"),
            encoded("Subject:+1"),
            encoded("Subject:1 "),
            encoded("Subject:9223372036854775808"),
            encoded("Secret:1"),
            format!("{}=", encoded("Subject:1")),
        ] {
            assert_eq!(GlobalId::parse(&id), None, "{id}");
        }
    }
}
