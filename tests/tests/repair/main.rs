//! `jishu check` and `jishu repair` on databases as the old system made them.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it fails")]

mod application;
mod at_scale;
mod careful;
mod command_line;
mod duplicates;
mod judgement;
mod keys;
mod old;
mod other_states;
mod sqlite_rebuild;
mod two_cards;
mod undo;
