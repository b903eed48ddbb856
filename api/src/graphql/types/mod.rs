//! The GraphQL types, with one file for each noun.

mod allowance;
mod audit_event;
mod authored_question;
mod card;
mod card_batch;
mod card_page;
mod card_selection;
mod cart;
mod cart_change;
mod catalogue_page;
mod course;
mod entitlement;
mod error_code;
mod guardian_consent;
mod identity;
mod learner;
mod marking_scheme;
mod mock_test_attempt;
mod money;
mod offer;
mod order;
mod order_money;
mod order_status;
mod progress;
mod purchase;
mod purchase_grant;
mod purchase_line;
mod question_bank;
mod quote;
mod refund;
mod rendered_paper;
mod sales_report;
mod session_paper;
mod session_question;
mod session_result;
mod sign_in_session;
mod sitting_id;
mod stale_edit;
mod subject;
mod subject_page;
mod test_session;
mod user;
mod user_error;
mod user_payload;

pub(super) use allowance::{AllowanceConnection, GrantedAllowance, allowance_page};
pub(super) use audit_event::{AuditEvent, AuditEventConnection, audit_page, audit_target};
pub(super) use authored_question::{
    AuthoredQuestion, AuthoredQuestionConnection, authored_option, question_page,
};
pub(super) use card_page::{
    CardArgs, MockTestAttemptConnection, MockTestAttemptFilter, MockTestAttemptOrder, card_page,
};
pub(super) use cart::Cart;
pub(super) use catalogue_page::{catalogue_course_page, catalogue_subject_page, course_page};
pub(super) use course::{Course, CourseConnection};
pub(super) use entitlement::Entitlement;
pub(super) use error_code::ErrorCode;
pub(super) use guardian_consent::GuardianConsent;
pub(super) use identity::Identity;
pub(super) use learner::Learner;
pub(super) use marking_scheme::{Difficulty, GradingMethod, MarkingScheme, ReviewPolicy};
pub(super) use mock_test_attempt::{MockTestAttempt, MockTestAttemptStatus};
pub(super) use money::Money;
pub(super) use money::money;
pub(super) use offer::Offer;
pub(super) use order::{Order, OrderConnection, all_orders_page, order_page, visible_orders};
pub(super) use order_money::OrderPayment;
pub(super) use order_status::OrderStatus;
pub(super) use progress::{Progress, TopicResult};
pub(super) use purchase::{Purchase, PurchaseConnection, PurchaseStatus, PurchaseType, all_purchases_page};
pub(super) use question_bank::{
    QuestionExport, QuestionFormat, QuestionLoss, QuestionNotice, QuestionRefusal,
};
pub(super) use quote::PurchaseQuote;
pub(super) use refund::{Refund, visible_refunds};
pub(super) use rendered_paper::RenderedPapers;
pub(super) use sales_report::{MAX_SALES_ROWS, SalesDimension, SalesReport, sales_grouping};
pub(super) use session_paper::SessionPaper;
pub(super) use session_question::option_place;
pub(super) use sign_in_session::SignInSession;
pub(super) use stale_edit::StaleEditError;
pub(super) use subject::Subject;
pub(super) use subject_page::SubjectConnection;
pub(super) use test_session::{TestSession, TestSessionConnection, TestSessionStatus, session_page};
pub(super) use user::{Role, User, UserConnection, UserStatus, user_page};
pub(super) use user_error::{
    AnswersError, AttemptsExhaustedError, NO_SUCH_SUBJECT, PriceChangedError, UserError, user_errors,
};
pub(super) use user_payload::UserPayload;
