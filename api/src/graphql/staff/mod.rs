//! The queries of staff, one file for each topic.

mod people;

pub(super) use people::PeopleQuery;
