//! Files that get their final names only when they are complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::BackupError;
use crate::database::{beside, create_private};

/// A file with a temporary name, in the folder of its final name. Dropping it deletes the file, unless
/// [`PendingFile::place`] gave it the final name.
pub(super) struct PendingFile {
    path: PathBuf,
    target: PathBuf,
}

impl PendingFile {
    /// Makes an empty file with a temporary name, beside `target`. Only its owner may read it.
    pub(super) fn new(target: &Path) -> Result<Self, BackupError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = folder_of(target).join(format!(".{name}.{}.tmp", Uuid::new_v4().simple()));
        create_private(&path).map_err(BackupError::io(&path))?;
        Ok(Self { path, target: target.to_owned() })
    }

    /// Copies the file `source` into a new pending file for `target`.
    pub(super) fn copy(source: &Path, target: &Path) -> Result<Self, BackupError> {
        let pending = Self::new(target)?;
        let mut from = File::open(source).map_err(BackupError::io(source))?;
        let copied =
            File::options().write(true).open(&pending.path).and_then(|mut to| io::copy(&mut from, &mut to));
        copied.map_err(BackupError::io(&pending.path))?;
        Ok(pending)
    }

    /// Returns the temporary path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name. Afterwards the content and the name survive a power failure. Fails if a file with
    /// the final name exists. After an error, this call leaves no file under the final name.
    pub(super) fn place(self) -> Result<(), BackupError> {
        let synced = File::options().write(true).open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(BackupError::io(&self.path))?;
        // A hard link fails if a file with the final name exists, but a rename would overwrite that file. The rename is
        // for file systems without hard links.
        match fs::hard_link(&self.path, &self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || self.target.exists() => {
                return Err(BackupError::Exists(self.target.clone()));
            }
            Err(_) => fs::rename(&self.path, &self.target).map_err(BackupError::io(&self.target))?,
        }
        sync_folder(&self.target).inspect_err(|_| {
            // The caller gets the first error. If the name cannot be removed either, nothing else can be done.
            let _ = fs::remove_file(&self.target);
        })
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        for path in [self.path.clone(), beside(&self.path, "-journal")] {
            // Usually neither the temporary file nor its journal exists any more, so errors are ignored.
            let _ = fs::remove_file(path);
        }
    }
}

/// Renames a file within its folder. The new name survives a power failure. After an error, the file has its old name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(BackupError::io(from))?;
    sync_folder(to).inspect_err(|_| {
        // The caller gets the first error. If the file cannot get its old name back, nothing else can be done.
        let _ = fs::rename(to, from);
    })
}

/// Syncs the folder of a file, so that the name of the file survives a power failure. Does nothing except on Unix.
fn sync_folder(file: &Path) -> Result<(), BackupError> {
    #[cfg(unix)]
    {
        let folder = folder_of(file);
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(BackupError::io(&folder))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
