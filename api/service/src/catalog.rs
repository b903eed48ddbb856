//! The catalogue in memory. Courses and subjects are few, and almost every request reads them.
//!
//! A snapshot is never changed: a new snapshot replaces it. The catalogue is read again after an author changed it
//! through this node. It is also read again when a row refers to a course or subject that the snapshot lacks, and every
//! few seconds. So the changes of other nodes and of an operator's SQL arrive as well. A purchase reads the database,
//! so a snapshot never decides what is sold, or at which price.
//!
//! A course or subject whose row has an unreadable or forbidden value is not on sale. The log names each such value
//! once, when it appears. The owners of such a subject see defaults in place of values that cannot be read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jishu_entity::{CourseId, SubjectId, course, subject};
use jishu_service_macros::service_call;
use sea_orm::{DbErr, EntityTrait, QueryOrder};
use tokio::sync::Mutex;

use super::integrity::{self, BadValue, Table};
use super::placeholder;
use crate::database::{Database, Unreadable, read_rows};
use crate::error::Fault;

/// A course with all its subjects in the order of their ids, including archived subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogCourse {
    /// The course.
    pub row: course::Model,
    /// All subjects of the course, including archived subjects, by id.
    pub subjects: Vec<Arc<subject::Model>>,
    /// Whether the row of the course has a value that prevents its sale, such as a currency that does not exist.
    is_withheld: bool,
    /// The subjects of the course whose rows have a value that prevents their sale.
    withheld: Vec<SubjectId>,
}

impl CatalogCourse {
    /// Returns the subjects that are not archived and have no value that prevents their sale. Does not check whether
    /// the course itself is on sale.
    pub fn subjects_on_sale(&self) -> impl Iterator<Item = &Arc<subject::Model>> {
        let sold = |subject: &&Arc<subject::Model>| {
            subject.archived_at.is_none() && !self.withheld.contains(&subject.id)
        };
        self.subjects.iter().filter(sold)
    }

    /// Tells whether a subject of the course is on sale. If the course is not on sale, none of its subjects is.
    #[must_use]
    pub fn sells(&self, id: SubjectId) -> bool {
        let is_sold = self.row.archived_at.is_none() && !self.is_withheld;
        is_sold && self.subjects_on_sale().any(|subject| subject.id == id)
    }
}

/// All courses and subjects as they were at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    courses: Vec<Arc<CatalogCourse>>,
    subjects: HashMap<SubjectId, Arc<subject::Model>>,
    /// The courses and subjects whose rows cannot be read. These rows exist, so the catalogue is not read again to find
    /// them.
    unreadable_courses: HashSet<CourseId>,
    unreadable_subjects: HashSet<SubjectId>,
    /// The values that cannot be read or are not allowed, because of which rows are not on sale.
    bad: BTreeSet<BadValue>,
}

/// Reads the catalogue from the database.
#[service_call]
async fn load_snapshot(database: &Database) -> Result<Snapshot, DbErr> {
    let reader = &database.reader().without_time_check();
    let courses = course::Entity::find().order_by_asc(course::Column::Id);
    let (mut courses, unreadable_courses) = read_rows(reader, courses).await?;
    let rows = subject::Entity::find().order_by_asc(subject::Column::Id);
    let (mut rows, unreadable_subjects) = read_rows(reader, rows).await?;
    let mut bad = BTreeSet::new();
    bad.extend(integrity::named(reader, &Table::of::<course::Entity>(), &unreadable_courses).await?);
    bad.extend(integrity::named(reader, &Table::of::<subject::Entity>(), &unreadable_subjects).await?);
    // Owners of these courses and subjects see stand-ins with default values.
    courses.extend(unreadable_courses.iter().filter_map(placeholder::course));
    courses.sort_by_key(|course| course.id);
    rows.extend(unreadable_subjects.iter().filter_map(placeholder::subject));
    rows.sort_by_key(|subject| subject.id);
    let unreadable_courses: HashSet<_> = ids(&unreadable_courses).map(CourseId).collect();
    let unreadable_subjects: HashSet<_> = ids(&unreadable_subjects).map(SubjectId).collect();

    let mut by_course: HashMap<CourseId, (Vec<Arc<subject::Model>>, Vec<SubjectId>)> = HashMap::new();
    let mut subjects = HashMap::with_capacity(rows.len());
    for subject in rows {
        let subject = Arc::new(subject);
        let (all, withheld) = by_course.entry(subject.course_id).or_default();
        if unreadable_subjects.contains(&subject.id) {
            withheld.push(subject.id);
        } else if let Some(fault) = integrity::fault_of_subject(&subject) {
            withheld.push(subject.id);
            bad.insert(BadValue::of("subjects", subject.id.0, fault));
        }
        all.push(Arc::clone(&subject));
        subjects.insert(subject.id, subject);
    }
    let mut course = |row: course::Model| {
        let is_unreadable = unreadable_courses.contains(&row.id);
        let fault = integrity::fault_of_course(&row).filter(|_| !is_unreadable);
        let is_withheld = is_unreadable || fault.is_some();
        bad.extend(fault.map(|fault| BadValue::of("courses", row.id.0, fault)));
        let (subjects, withheld) = by_course.remove(&row.id).unwrap_or_default();
        Arc::new(CatalogCourse { row, subjects, is_withheld, withheld })
    };
    let courses = courses.into_iter().map(&mut course).collect();
    // The subjects that are left in `by_course` refer to a course that does not exist.
    for subject in by_course.into_values().flat_map(|(subjects, _)| subjects) {
        let fault = integrity::fault_of_orphan(&subject);
        bad.insert(BadValue::of("subjects", subject.id.0, fault));
    }
    Ok(Snapshot { courses, subjects, unreadable_courses, unreadable_subjects, bad })
}

impl Snapshot {
    /// Logs the bad values that are new since the snapshot `before`, and those that were corrected.
    fn log_changes(&self, before: &Self) {
        for bad in self.bad.difference(&before.bad) {
            let BadValue { table, row, column, value } = bad;
            tracing::error!(
                table,
                row,
                column,
                value,
                "a row of the catalogue has a bad value, so it is not on sale, and its owners see defaults for values that \
                 cannot be read. Correct the value. `jishu check` lists all such rows"
            );
        }
        for bad in before.bad.difference(&self.bad) {
            let BadValue { table, row, column, .. } = bad;
            tracing::info!(table, row, column, "a bad value in a row of the catalogue was corrected");
        }
    }

    /// Returns the courses that are on sale, by id.
    pub fn courses_on_sale(&self) -> impl Iterator<Item = &Arc<CatalogCourse>> {
        self.courses.iter().filter(|course| course.row.archived_at.is_none() && !course.is_withheld)
    }

    /// Returns all courses by id, including archived courses.
    pub fn courses(&self) -> impl Iterator<Item = &Arc<CatalogCourse>> {
        self.courses.iter()
    }

    /// Finds a course, which may be archived. Returns None if the snapshot does not have it.
    #[must_use]
    pub fn course(&self, id: CourseId) -> Option<&Arc<CatalogCourse>> {
        self.courses.binary_search_by_key(&id, |course| course.row.id).ok().map(|found| &self.courses[found])
    }

    /// Finds a subject, which may be archived. Returns None if the snapshot does not have it.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&Arc<subject::Model>> {
        self.subjects.get(&id)
    }
}

/// Returns the ids of rows that cannot be read.
fn ids(rows: &[Unreadable]) -> impl Iterator<Item = i64> {
    rows.iter().filter_map(|row| row.key.first().copied())
}

/// The catalogue of a node: its current snapshot, and the connection to read a new one.
#[derive(Debug)]
pub struct Catalog {
    database: Database,
    snapshot: ArcSwap<Snapshot>,
    reloading: Mutex<()>,
}

impl Catalog {
    /// Reads the first snapshot from the database.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn load(database: Database) -> Result<Self, DbErr> {
        let snapshot = load_snapshot(&database).await?;
        snapshot.log_changes(&Snapshot::default());
        let snapshot = ArcSwap::from_pointee(snapshot);
        Ok(Self { database, snapshot, reloading: Mutex::new(()) })
    }

    /// Returns the current snapshot. Later reads of the catalogue do not change it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Reads the catalogue again, and replaces the snapshot if something changed. Only one task reads at a time, so an
    /// older snapshot never replaces a newer one.
    ///
    /// # Errors
    /// Returns the database's error. The current snapshot then stays.
    pub async fn reload(&self) -> Result<(), DbErr> {
        let _guard = self.reloading.lock().await;
        let fresh = load_snapshot(&self.database).await?;
        let before = self.snapshot.load();
        if fresh != **before {
            fresh.log_changes(&before);
            self.snapshot.store(Arc::new(fresh));
        }
        Ok(())
    }

    /// Finds a course that a row refers to, archived or not. Reads the catalogue again if the snapshot lacks the
    /// course.
    ///
    /// # Errors
    /// Fails if the database fails or has no such course.
    pub async fn course(&self, id: CourseId) -> Result<Arc<CatalogCourse>, Fault> {
        let lacks = |known: &Snapshot| known.course(id).is_none() && !known.unreadable_courses.contains(&id);
        if lacks(&self.snapshot.load()) {
            self.reload().await?;
        }
        let snapshot = self.snapshot.load();
        snapshot.course(id).cloned().ok_or_else(|| Fault::missing(format_args!("course {id}")))
    }

    /// Finds a subject that a row refers to, archived or not. Reads the catalogue again if the snapshot lacks the
    /// subject.
    ///
    /// # Errors
    /// Fails if the database fails or has no such subject.
    pub async fn subject(&self, id: SubjectId) -> Result<Arc<subject::Model>, Fault> {
        let lacks =
            |known: &Snapshot| known.subject(id).is_none() && !known.unreadable_subjects.contains(&id);
        if lacks(&self.snapshot.load()) {
            self.reload().await?;
        }
        let snapshot = self.snapshot.load();
        snapshot.subject(id).cloned().ok_or_else(|| Fault::missing(format_args!("subject {id}")))
    }

    /// Finds a course. If the snapshot has an older version than `version`, reads the catalogue again first.
    ///
    /// # Errors
    /// Fails if the database fails or has no such course.
    pub async fn course_since(&self, id: CourseId, version: i32) -> Result<Arc<CatalogCourse>, Fault> {
        let course = self.course(id).await?;
        if course.row.version >= version {
            return Ok(course);
        }
        self.reload().await?;
        self.course(id).await
    }

    /// Finds a subject. If the snapshot has an older version than `version`, reads the catalogue again first.
    ///
    /// # Errors
    /// Fails if the database fails or has no such subject.
    pub async fn subject_since(&self, id: SubjectId, version: i32) -> Result<Arc<subject::Model>, Fault> {
        let subject = self.subject(id).await?;
        if subject.version >= version {
            return Ok(subject);
        }
        self.reload().await?;
        self.subject(id).await
    }

    /// Reads the catalogue again at an interval, until the task is dropped.
    pub async fn keep_fresh(&self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(error) = self.reload().await {
                tracing::warn!(%error, "the catalogue could not be read; requests get the last snapshot");
            }
        }
    }
}
