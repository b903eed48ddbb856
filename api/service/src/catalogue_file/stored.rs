//! Reads the stored catalogue.

use std::collections::HashMap;

use jishu_entity::{CourseId, SubjectId, blueprint_part, course, subject};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryOrder};

/// All stored courses and subjects, including archived ones, oldest first.
pub(super) struct StoredCatalogue {
    pub(super) courses: Vec<course::Model>,
    pub(super) subjects: Vec<subject::Model>,
    /// The number of questions of each subject's blueprint. Subjects without a blueprint are missing.
    blueprints: HashMap<SubjectId, i32>,
}

impl StoredCatalogue {
    pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let courses = course::Entity::find().order_by_asc(course::Column::Id).all(connection).await?;
        let subjects = subject::Entity::find().order_by_asc(subject::Column::Id).all(connection).await?;
        let mut blueprints = HashMap::new();
        for part in blueprint_part::Entity::find().all(connection).await? {
            *blueprints.entry(part.subject_id).or_default() += part.questions;
        }
        Ok(Self { courses, subjects, blueprints })
    }

    /// Finds a course by its code. Returns None if no course has the code.
    pub(super) fn course(&self, code: &str) -> Option<&course::Model> {
        self.courses.iter().find(|course| course.code.as_deref() == Some(code))
    }

    /// Returns the subjects of a course, oldest first.
    pub(super) fn subjects_of(&self, course: CourseId) -> impl Iterator<Item = &subject::Model> {
        self.subjects.iter().filter(move |subject| subject.course_id == course)
    }

    /// Finds a subject of a course by its code. Returns None if no subject of the course has the code.
    pub(super) fn subject(&self, course: CourseId, code: &str) -> Option<&subject::Model> {
        self.subjects_of(course).find(|subject| subject.code.as_deref() == Some(code))
    }

    /// Returns the number of questions of a subject's blueprint. Returns 0 if the subject has no blueprint.
    pub(super) fn blueprint(&self, subject: SubjectId) -> i32 {
        self.blueprints.get(&subject).copied().unwrap_or_default()
    }

    /// Describes the courses without a code, and the subjects without a code whose course has one, for the operator.
    pub(super) fn without_code(&self) -> Vec<String> {
        let mut described = Vec::new();
        for course in &self.courses {
            if course.code.is_none() {
                described.push(format!("course {} ({})", course.id, course.name));
                continue;
            }
            let nameless = self.subjects_of(course.id).filter(|subject| subject.code.is_none());
            described.extend(nameless.map(|subject| {
                format!("subject {} ({}) of the course {}", subject.id, subject.name, course.name)
            }));
        }
        described
    }
}
