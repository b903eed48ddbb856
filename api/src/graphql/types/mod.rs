//! The object types, one file for each noun.

mod authored_question;
mod card;
mod card_batch;
mod card_page;
mod cart;
mod course;
mod entitlement;
mod learner;
mod marking_scheme;
mod mock_test_attempt;
mod money;
mod progress;
mod purchase;
mod question_bank;
mod quote;
mod session_paper;
mod session_question;
mod session_result;
mod subject;
mod test_session;
mod user;
mod user_error;
mod user_payload;

pub(super) use authored_question::{
    AuthoredQuestion, AuthoredQuestionConnection, authored_option, question_page,
};
pub(super) use card_page::{
    CardArgs, MockTestAttemptConnection, MockTestAttemptFilter, MockTestAttemptOrder, card_page,
};
pub(super) use cart::Cart;
pub(super) use course::{Course, CourseConnection, course_page};
pub(super) use entitlement::Entitlement;
pub(super) use learner::Learner;
pub(super) use marking_scheme::{Difficulty, GradingMethod, MarkingScheme, ReviewPolicy};
pub(super) use mock_test_attempt::{MockTestAttempt, MockTestAttemptStatus};
pub(super) use money::Money;
pub(super) use money::money;
pub(super) use progress::{Progress, TopicResult};
pub(super) use purchase::{Purchase, PurchaseType};
pub(super) use question_bank::{
    QuestionExport, QuestionFormat, QuestionLoss, QuestionNotice, QuestionRefusal,
};
pub(super) use quote::PurchaseQuote;
pub(super) use session_paper::SessionPaper;
pub(super) use session_question::option_place;
pub(super) use subject::Subject;
pub(super) use test_session::{TestSession, TestSessionConnection, TestSessionStatus, session_page};
pub(super) use user::{Role, User};
pub(super) use user_error::{
    AnswersError, AttemptsExhaustedError, ErrorCode, NO_SUCH_SUBJECT, PriceChangedError, UserError,
    user_errors,
};
pub(super) use user_payload::UserPayload;
