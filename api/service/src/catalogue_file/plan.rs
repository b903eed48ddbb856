//! Compares a catalogue file with the stored catalogue.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use jishu_entity::{course, subject};

use super::apply_mode::ApplyMode;
use super::document::{CatalogueDocument, CourseDocument, SubjectDocument};
use super::stored::StoredCatalogue;
use super::{CatalogueChange, CatalogueChangeKind, CatalogueName, CatalogueReport, FileProblem};
use crate::audit::StateChange;
use crate::authoring::store::{course_state, subject_state};
use crate::authoring::{CatalogueField, ValueProblem, fits_blueprint};
use crate::money;

/// The changes that make the stored catalogue equal to a file.
#[derive(Default)]
pub(super) struct CataloguePlan {
    pub(super) courses: Vec<CourseStep>,
    pub(super) report: CatalogueReport,
}

/// The change of a course and of its subjects.
pub(super) struct CourseStep {
    pub(super) course: RowStep<course::Model>,
    pub(super) subjects: Vec<RowStep<subject::Model>>,
}

/// The planned step for a row: insert it, change it, or keep it as it is.
pub(super) enum RowStep<M> {
    Create(M),
    Save { before: M, after: M },
    Keep(M),
}

/// Plans the changes that make the stored catalogue equal to a file, or returns all values of the file that are not
/// allowed.
pub(super) fn make(
    document: &CatalogueDocument,
    stored: &StoredCatalogue,
    mode: ApplyMode,
    now: DateTime<Utc>,
) -> Result<CataloguePlan, Vec<FileProblem>> {
    let mut planner =
        CataloguePlanner { stored, mode, now, plan: CataloguePlan::default(), problems: Vec::new() };
    planner.plan.report.without_code = stored.without_code();
    let mut named = HashSet::new();
    for course in &document.courses {
        if !named.insert(course.trimmed_code()) {
            planner.problems.push(course.problem(CatalogueField::Code, REPEATED.to_owned()));
        }
        planner.add_course(course);
    }
    planner.add_missing_courses(&named);
    if planner.problems.is_empty() { Ok(planner.plan) } else { Err(planner.problems) }
}

const REPEATED: &str = "The file has this code twice. Remove one entry, or give it another code.";

struct CataloguePlanner<'a> {
    stored: &'a StoredCatalogue,
    mode: ApplyMode,
    now: DateTime<Utc>,
    plan: CataloguePlan,
    problems: Vec<FileProblem>,
}

impl CataloguePlanner<'_> {
    fn add_course(&mut self, document: &CourseDocument) {
        let before = self.stored.course(document.trimmed_code());
        let course = match before {
            Some(before) => self.changed_course(document, before),
            None => self.new_course(document),
        };
        let currency = before.map_or(document.currency.value.trim(), |before| before.currency.as_str());
        let mut named = HashSet::new();
        let mut subjects = Vec::new();
        for subject in &document.subjects {
            let code = subject.trimmed_code();
            if !named.insert(code) {
                let problem =
                    subject.problem(document.trimmed_code(), CatalogueField::Code, REPEATED.to_owned());
                self.problems.push(problem);
            }
            // The prices of a subject cannot be checked if the currency is unknown.
            if money::is_known(currency) {
                subjects.extend(self.subject(document, before, subject, currency));
            }
        }
        if let Some(before) = before {
            subjects.extend(self.missing_subjects(document, before, &named));
        }
        if let Some(course) = course {
            self.plan.courses.push(CourseStep { course, subjects });
        }
    }

    fn new_course(&mut self, document: &CourseDocument) -> Option<RowStep<course::Model>> {
        let row = document.new_course().row(self.now);
        let row = row.map_err(|invalid| self.problems.extend(document.problems(invalid))).ok()?;
        let name = CatalogueName::course(document.trimmed_code());
        let change = StateChange::created(course_state(&row));
        self.report(name, CatalogueChangeKind::Created, &change);
        Some(RowStep::Create(row))
    }

    fn changed_course(
        &mut self,
        document: &CourseDocument,
        before: &course::Model,
    ) -> Option<RowStep<course::Model>> {
        if self.mode.keep_existing {
            return Some(RowStep::Keep(before.clone()));
        }
        if document.currency.value.trim() != before.currency {
            let message = ValueProblem::CurrencyFixed.to_string();
            self.problems.push(document.problem(CatalogueField::Currency, message));
        }
        let mut after = before.clone();
        let edited = document.values().apply_to(&mut after, self.now);
        edited.map_err(|invalid| self.problems.extend(document.problems(invalid))).ok()?;
        Some(self.saved_course(before, after))
    }

    /// Returns the step that stores a changed course, and adds the change to the report. If no value differs, the step
    /// keeps the course.
    fn saved_course(&mut self, before: &course::Model, after: course::Model) -> RowStep<course::Model> {
        let change = StateChange::between(course_state(before), course_state(&after));
        if change.is_empty() {
            return RowStep::Keep(after);
        }
        let name = CatalogueName::course(before.code.as_deref().unwrap_or_default());
        let kind = kind(before.archived_at.is_some(), after.archived_at.is_some());
        self.report(name, kind, &change);
        RowStep::Save { before: before.clone(), after }
    }

    fn subject(
        &mut self,
        course: &CourseDocument,
        stored_course: Option<&course::Model>,
        document: &SubjectDocument,
        currency: &str,
    ) -> Option<RowStep<subject::Model>> {
        let code = document.trimmed_code();
        let before = stored_course.and_then(|course| self.stored.subject(course.id, code));
        if let Some(before) = before.filter(|_| self.mode.keep_existing) {
            return Some(RowStep::Keep(before.clone()));
        }
        let parts = before.map_or(0, |before| self.stored.blueprint(before.id));
        let mut after = match before {
            Some(before) => before.clone(),
            None => {
                let id = stored_course.map_or(jishu_entity::CourseId(0), |course| course.id);
                crate::authoring::blank_subject(id, self.now)
            }
        };
        let edited = document.values(before, parts != 0).apply_to(&mut after, currency, self.now);
        let course_code = course.trimmed_code();
        let edited = edited.map_err(|invalid| self.problems.extend(document.problems(course_code, invalid)));
        edited.ok()?;
        let name = CatalogueName::subject(course_code, code);
        let Some(before) = before else {
            self.report(
                name,
                CatalogueChangeKind::Created,
                &StateChange::created(subject_state(&after, currency)),
            );
            return Some(RowStep::Create(after));
        };
        if after.questions_per_test != before.questions_per_test
            && let Err(invalid) = fits_blueprint(parts, after.questions_per_test)
        {
            self.problems.extend(document.problems(course_code, vec![invalid]));
            return None;
        }
        Some(self.saved_subject(name, before, after, currency))
    }

    /// Returns the step that stores a changed subject, and adds the change to the report. If no value differs, the step
    /// keeps the subject.
    fn saved_subject(
        &mut self,
        name: CatalogueName,
        before: &subject::Model,
        after: subject::Model,
        currency: &str,
    ) -> RowStep<subject::Model> {
        let change = StateChange::between(subject_state(before, currency), subject_state(&after, currency));
        if change.is_empty() {
            return RowStep::Keep(after);
        }
        let kind = kind(before.archived_at.is_some(), after.archived_at.is_some());
        self.report(name, kind, &change);
        RowStep::Save { before: before.clone(), after }
    }

    /// Handles the subjects of a course that are not archived and that the file does not name. Plans to archive them if
    /// the operator asks for it, and otherwise lists them in the report.
    fn missing_subjects(
        &mut self,
        document: &CourseDocument,
        course: &course::Model,
        named: &HashSet<&str>,
    ) -> Vec<RowStep<subject::Model>> {
        let mut steps = Vec::new();
        for before in self.stored.subjects_of(course.id) {
            let Some(code) = before.code.as_deref() else { continue };
            if named.contains(code) || before.archived_at.is_some() {
                continue;
            }
            let name = CatalogueName::subject(document.trimmed_code(), code);
            if self.mode.archive_missing {
                let after = subject::Model { archived_at: Some(self.now), ..before.clone() };
                steps.push(self.saved_subject(name, before, after, &course.currency));
            } else {
                self.plan.report.missing.push(name);
            }
        }
        steps
    }

    /// Handles the courses that are not archived and that the file does not name. Plans to archive them if the operator
    /// asks for it, and otherwise lists them in the report.
    fn add_missing_courses(&mut self, named: &HashSet<&str>) {
        for before in &self.stored.courses {
            let Some(code) = before.code.as_deref() else { continue };
            if named.contains(code) || before.archived_at.is_some() {
                continue;
            }
            if self.mode.archive_missing {
                let after = course::Model { archived_at: Some(self.now), ..before.clone() };
                let course = self.saved_course(before, after);
                self.plan.courses.push(CourseStep { course, subjects: Vec::new() });
            } else {
                self.plan.report.missing.push(CatalogueName::course(code));
            }
        }
    }

    fn report(&mut self, name: CatalogueName, kind: CatalogueChangeKind, change: &StateChange) {
        self.plan.report.changes.push(CatalogueChange::new(name, kind, change));
    }
}

fn kind(was_archived: bool, is_archived: bool) -> CatalogueChangeKind {
    match (was_archived, is_archived) {
        (false, true) => CatalogueChangeKind::Archived,
        (true, false) => CatalogueChangeKind::Restored,
        _ => CatalogueChangeKind::Updated,
    }
}
