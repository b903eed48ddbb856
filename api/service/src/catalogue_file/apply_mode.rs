//! The options for applying a catalogue file.

/// The options for applying a catalogue file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyMode {
    /// Whether to report the changes without making them.
    pub dry_run: bool,
    /// Whether to archive courses and subjects on sale that the file does not name.
    pub archive_missing: bool,
    /// Whether existing courses and subjects stay unchanged, although the file names them.
    pub keep_existing: bool,
}
