//! The schema as a whole.

use std::sync::Arc;

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder, ValidationMode};
use graphql_engine::{CustomScalars, Engine, EngineOptions, ListLength, ListLengths, PageSizes, SchemaError};

use super::mutation::Mutation;
use super::pagination::{DEFAULT_PAGE, LONGEST_PAGE};
use super::query::Query;
use super::scalar::{DateTime, Decimal, Uuid};
use super::subscription::Subscription;
use crate::service::Services;
use crate::service::test_settings::MOST_QUESTIONS;

/// What is reckoned with where a list is short as a rule.
const FEW: ListLength = ListLength::Items(10);

/// How long the lists are that are no pages.
const LISTS: ListLengths = &[
    ("AuthPayload.userErrors", FEW),
    ("AuthoredQuestion.corrections", FEW),
    ("AuthoredQuestion.versions", FEW),
    ("Cart.quotes", FEW),
    ("Cart.subjects", FEW),
    ("CartPayload.userErrors", FEW),
    ("CorrectQuestionKeyPayload.userErrors", FEW),
    ("GrantExtraTimePayload.userErrors", FEW),
    ("ImportQuestionsPayload.losses", FEW),
    ("ImportQuestionsPayload.notices", FEW),
    ("ImportQuestionsPayload.refused", FEW),
    ("ImportQuestionsPayload.userErrors", FEW),
    ("LogoutPayload.userErrors", FEW),
    ("MarkingScheme.blueprint", FEW),
    ("Progress.bySubject", FEW),
    ("Purchase.subjects", FEW),
    ("PurchasePayload.alreadyOwned", FEW),
    ("PurchasePayload.userErrors", FEW),
    ("PurchaseQuote.alreadyOwned", FEW),
    ("PurchaseQuote.lines", FEW),
    ("PurchaseQuotePayload.userErrors", FEW),
    ("Query.nodes", ListLength::Argument("ids")),
    ("QuestionExport.losses", FEW),
    ("QuestionVersion.options", FEW),
    ("SessionQuestion.options", FEW),
    ("SessionResult.byTopic", FEW),
    ("SetQuestionArchivedPayload.userErrors", FEW),
    ("SubjectProgress.byTopic", FEW),
    // Each with its texts: as many as a test may have.
    ("TestSession.questions", ListLength::Items(MOST_QUESTIONS.unsigned_abs())),
    ("TestSessionPayload.userErrors", FEW),
    ("UpdateTestSettingsPayload.userErrors", FEW),
];

/// The executable schema.
pub type JishuSchema = Schema<Query, Mutation, Subscription>;

/// What prepares and runs operations on it.
pub type JishuEngine = Engine<JishuSchema>;

/// The schema over these services, as async-graphql alone would serve it.
#[must_use]
pub fn builder(services: Services) -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation::default(), Subscription::default()).data(services)
}

/// The engine over these services.
///
/// # Errors
/// When the schema is not valid.
pub fn build(services: Services, options: EngineOptions) -> Result<Arc<JishuEngine>, SchemaError> {
    // The engine has validated a document before the schema gets it.
    let schema = builder(services).validation_mode(ValidationMode::Fast).finish();
    let scalars =
        CustomScalars::default().with::<DateTime>("DateTime").with::<Decimal>("Decimal").with::<Uuid>("UUID");
    let page_sizes = PageSizes { default: DEFAULT_PAGE, max: LONGEST_PAGE };
    let options = EngineOptions { scalars, lists: LISTS, page_sizes, ..options };
    Engine::new(schema, &sdl(), options).map(Arc::new)
}

/// The schema in the definition language, as it is in `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_enum_items().sorted_arguments().include_specified_by();
    let schema = Schema::build(Query, Mutation::default(), Subscription::default()).finish();
    format!("{}\n", schema.sdl_with_options(options).trim())
}
