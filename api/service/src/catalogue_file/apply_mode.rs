//! How to apply a file.

/// The options for applying a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyMode {
    /// Whether to report the changes without making them.
    pub dry_run: bool,
    /// Whether to archive what the file does not name.
    pub archive_missing: bool,
    /// Whether to leave courses and subjects alone that exist already.
    pub keep_existing: bool,
}
