//! The mutations with which authors create and change courses and subjects.

mod course;
mod refusal;
mod subject;

pub(super) use course::CourseMutation;
pub(super) use subject::SubjectMutation;
