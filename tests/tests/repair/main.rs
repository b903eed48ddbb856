//! Tests of `jishu check`, `jishu repair` and `jishu adopt` on databases of the old system. `check` and `repair` are
//! also tested on others.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic at the first failure")]

mod adopt;
mod application;
mod at_scale;
mod command_line;
mod duplicates;
mod key_states;
mod merging;
mod old_database;
mod other_databases;
mod special_cases;
mod sqlite_rebuild;
mod two_cards;
mod undo;
