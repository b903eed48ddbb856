//! The database of a dry run: an SQLite file that is deleted afterwards. So a dry run does and checks everything that
//! an adoption does.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::database::{ConnectError, Database, DatabaseOptions, MigrateError, create_private};

/// The temporary SQLite database of a dry run, in a folder of its own.
#[derive(Debug)]
pub struct AdoptionScratch {
    /// The open database.
    pub database: Database,
    folder: PathBuf,
}

/// A reason why the temporary database could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionScratchError {
    /// The folder for temporary files cannot be used.
    #[error(
        "the folder {0} cannot be used: {1}. A dry run needs space there for a temporary database. Set TMPDIR to \
         another folder"
    )]
    Folder(PathBuf, io::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The tables cannot be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl AdoptionScratch {
    /// Makes an empty, migrated database in the folder for temporary files. Only the owner of the file may read it.
    ///
    /// # Errors
    /// See [`AdoptionScratchError`].
    pub async fn create() -> Result<Self, AdoptionScratchError> {
        let folder = std::env::temp_dir().join(format!("jishu-adopt-{}", Uuid::new_v4().simple()));
        let file = folder.join("dry-run.db");
        let made = std::fs::create_dir(&folder).and_then(|()| create_private(&file));
        made.map_err(|error| AdoptionScratchError::Folder(folder.clone(), error))?;
        match Self::open(&format!("sqlite://{}?mode=rw", file.display())).await {
            Ok(database) => Ok(Self { database, folder }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    async fn open(url: &str) -> Result<Database, AdoptionScratchError> {
        let database = Database::connect(&DatabaseOptions::new(url)).await?;
        database.migrate_up().await?;
        Ok(database)
    }

    /// Closes the database and deletes its folder. Failures are only logged.
    pub async fn delete(self) {
        if let Err(error) = self.database.close().await {
            tracing::debug!(%error, "the database of the dry run could not be closed");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(
                %error, folder = %self.folder.display(),
                "the database of the dry run could not be deleted; delete the folder by hand"
            );
        }
    }
}
