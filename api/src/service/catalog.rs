//! The catalogue in memory: courses and subjects are few and read always.
//!
//! A snapshot is swapped whole. It is read again after a write of ours, when a row refers to what it does not
//! have, and every few seconds, so that what another node or an operator's SQL changed is seen. A purchase
//! reads the database itself: a snapshot never decides what is bought or what it costs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jishu_entity::{CourseId, SubjectId, course, subject};
use sea_orm::{DbErr, EntityTrait, QueryOrder};
use tokio::sync::Mutex;

use crate::database::Database;

/// A course and its subjects, by id, archived ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogCourse {
    /// The course.
    pub row: course::Model,
    /// Its subjects.
    pub subjects: Vec<Arc<subject::Model>>,
}

impl CatalogCourse {
    /// The subjects that are sold.
    pub fn subjects_on_sale(&self) -> impl Iterator<Item = &Arc<subject::Model>> {
        self.subjects.iter().filter(|subject| subject.archived_at.is_none())
    }
}

/// All courses and subjects at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    courses: Vec<Arc<CatalogCourse>>,
    subjects: HashMap<SubjectId, Arc<subject::Model>>,
}

impl Snapshot {
    async fn load(database: &Database) -> Result<Self, DbErr> {
        let courses = course::Entity::find().order_by_asc(course::Column::Id).all(database.reader()).await?;
        let rows = subject::Entity::find().order_by_asc(subject::Column::Id).all(database.reader()).await?;
        let mut by_course: HashMap<CourseId, Vec<Arc<subject::Model>>> = HashMap::new();
        let mut subjects = HashMap::with_capacity(rows.len());
        for subject in rows {
            let subject = Arc::new(subject);
            by_course.entry(subject.course_id).or_default().push(Arc::clone(&subject));
            subjects.insert(subject.id, subject);
        }
        let courses = courses
            .into_iter()
            .map(|row| {
                Arc::new(CatalogCourse { subjects: by_course.remove(&row.id).unwrap_or_default(), row })
            })
            .collect();
        Ok(Self { courses, subjects })
    }

    /// The courses that are sold, by id.
    pub fn courses_on_sale(&self) -> impl Iterator<Item = &Arc<CatalogCourse>> {
        self.courses.iter().filter(|course| course.row.archived_at.is_none())
    }

    /// A course, sold or archived.
    #[must_use]
    pub fn course(&self, id: CourseId) -> Option<&Arc<CatalogCourse>> {
        self.courses.binary_search_by_key(&id, |course| course.row.id).ok().map(|found| &self.courses[found])
    }

    /// A subject, sold or archived.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&Arc<subject::Model>> {
        self.subjects.get(&id)
    }
}

/// The current snapshot, and how to renew it.
#[derive(Debug)]
pub struct Catalog {
    database: Database,
    snapshot: ArcSwap<Snapshot>,
    reloading: Mutex<()>,
}

impl Catalog {
    /// Loads the first snapshot.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(database: Database) -> Result<Self, DbErr> {
        let snapshot = ArcSwap::from_pointee(Snapshot::load(&database).await?);
        Ok(Self { database, snapshot, reloading: Mutex::new(()) })
    }

    /// The catalogue as it was last read.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Reads the catalogue again. One reader at a time, so that an older snapshot never replaces a newer.
    ///
    /// # Errors
    /// The database's; the snapshot stays as it was.
    pub async fn reload(&self) -> Result<(), DbErr> {
        let _one_at_a_time = self.reloading.lock().await;
        let fresh = Snapshot::load(&self.database).await?;
        if fresh != **self.snapshot.load() {
            self.snapshot.store(Arc::new(fresh));
        }
        Ok(())
    }

    /// A course that a row refers to, reading the catalogue again if it is newer than the snapshot.
    ///
    /// # Errors
    /// When the database fails or has no such course.
    pub async fn course(&self, id: CourseId) -> Result<Arc<CatalogCourse>, DbErr> {
        if self.snapshot.load().course(id).is_none() {
            self.reload().await?;
        }
        let snapshot = self.snapshot.load();
        snapshot.course(id).cloned().ok_or_else(|| DbErr::RecordNotFound(format!("course {id}")))
    }

    /// A subject that a row refers to, reading the catalogue again if it is newer than the snapshot.
    ///
    /// # Errors
    /// When the database fails or has no such subject.
    pub async fn subject(&self, id: SubjectId) -> Result<Arc<subject::Model>, DbErr> {
        if self.snapshot.load().subject(id).is_none() {
            self.reload().await?;
        }
        let snapshot = self.snapshot.load();
        snapshot.subject(id).cloned().ok_or_else(|| DbErr::RecordNotFound(format!("subject {id}")))
    }

    /// Reads the catalogue again and again until the task is dropped.
    pub async fn keep_fresh(&self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(error) = self.reload().await {
                tracing::warn!(%error, "the catalogue could not be read again; the last snapshot stays");
            }
        }
    }
}
