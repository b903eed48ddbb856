//! The mutations for courses and subjects, for authors.

mod course;
mod refusal;
mod subject;

pub(super) use course::CourseMutation;
pub(super) use subject::SubjectMutation;
