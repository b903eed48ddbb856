//! The executable schema, and its text in the schema definition language (SDL).

use std::sync::{Arc, LazyLock};

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder, ValidationMode};
use graphql_engine::{
    CustomScalars, Engine, EngineOptions, ListLength, ListLengths, PageSizes, ParsedSchema, SchemaError,
};

use super::mutation::Mutation;
use super::pagination::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE};
use super::query::Query;
use super::scalar::{DateTime, Decimal, Uuid};
use super::subscription::Subscription;
use super::types::{MAX_SALES_ROWS, RenderedPapers};
use jishu_service::Services;
use jishu_service::test_settings::MAX_QUESTIONS_PER_TEST;

/// The number of items that the cost of a document assumes for a short list.
const SHORT_LIST: ListLength = ListLength::Items(10);

/// The numbers of items that the cost of a document assumes for lists of objects that are not pages.
const LISTS: ListLengths = &[
    ("AllowancePayload.userErrors", SHORT_LIST),
    ("AuthPayload.userErrors", SHORT_LIST),
    ("AuthoredQuestion.corrections", SHORT_LIST),
    ("AuthoredQuestion.versions", SHORT_LIST),
    ("BeginOidcLoginPayload.userErrors", SHORT_LIST),
    ("BeginTwoFactorPayload.userErrors", SHORT_LIST),
    ("Cart.changes", SHORT_LIST),
    ("Cart.quotes", SHORT_LIST),
    ("Cart.subjects", SHORT_LIST),
    ("CartPayload.userErrors", SHORT_LIST),
    ("CheckoutPayload.userErrors", SHORT_LIST),
    ("CorrectQuestionKeyPayload.userErrors", SHORT_LIST),
    ("CoursePayload.userErrors", SHORT_LIST),
    ("DeleteAccountPayload.userErrors", SHORT_LIST),
    ("DisableTwoFactorPayload.userErrors", SHORT_LIST),
    ("EndSessionsPayload.sessions", SHORT_LIST),
    ("EndSessionsPayload.userErrors", SHORT_LIST),
    ("GrantExtraTimePayload.userErrors", SHORT_LIST),
    ("GuardianConsentPayload.userErrors", SHORT_LIST),
    ("IdentitiesPayload.identities", SHORT_LIST),
    ("IdentitiesPayload.userErrors", SHORT_LIST),
    ("ImportQuestionsPayload.losses", SHORT_LIST),
    ("ImportQuestionsPayload.notices", SHORT_LIST),
    ("ImportQuestionsPayload.refused", SHORT_LIST),
    ("ImportQuestionsPayload.userErrors", SHORT_LIST),
    ("LogoutPayload.userErrors", SHORT_LIST),
    ("MarkOrderPaidPayload.userErrors", SHORT_LIST),
    ("MarkingScheme.blueprint", SHORT_LIST),
    ("Order.lines", SHORT_LIST),
    ("Order.paymentEvents", SHORT_LIST),
    ("Order.refunds", SHORT_LIST),
    ("OrderPayload.userErrors", SHORT_LIST),
    ("Progress.bySubject", SHORT_LIST),
    ("Purchase.lines", SHORT_LIST),
    ("Purchase.refunds", SHORT_LIST),
    ("Purchase.subjects", SHORT_LIST),
    ("PurchasePayload.alreadyOwned", SHORT_LIST),
    ("PurchasePayload.userErrors", SHORT_LIST),
    ("PurchaseQuote.alreadyOwned", SHORT_LIST),
    ("PurchaseQuote.lines", SHORT_LIST),
    ("PurchaseQuotePayload.userErrors", SHORT_LIST),
    ("Query.nodes", ListLength::Argument("ids")),
    ("QuestionExport.losses", SHORT_LIST),
    ("QuestionVersion.options", SHORT_LIST),
    ("RecoveryCodesPayload.userErrors", SHORT_LIST),
    ("Refund.lines", SHORT_LIST),
    ("RefundPayload.userErrors", SHORT_LIST),
    ("RequestAccountDeletionPayload.userErrors", SHORT_LIST),
    ("RevokeGuardianConsentPayload.userErrors", SHORT_LIST),
    ("SalesReport.rows", ListLength::Items(MAX_SALES_ROWS)),
    ("RequestedPayload.userErrors", SHORT_LIST),
    ("SessionQuestion.options", SHORT_LIST),
    ("SessionResult.byTopic", SHORT_LIST),
    ("SetQuestionArchivedPayload.userErrors", SHORT_LIST),
    ("SubjectPayload.userErrors", SHORT_LIST),
    ("SubjectProgress.byTopic", SHORT_LIST),
    // For this list, the cost assumes the maximum number of questions in a test and not a short list. The texts of the
    // questions are long, so a cost that is too low would admit very large responses.
    ("TestSession.questions", ListLength::Items(MAX_QUESTIONS_PER_TEST.unsigned_abs())),
    ("TestSessionPayload.userErrors", SHORT_LIST),
    ("UpdateTestSettingsPayload.userErrors", SHORT_LIST),
    ("User.linkedIdentities", SHORT_LIST),
    ("User.sessions", SHORT_LIST),
    ("UserPayload.userErrors", SHORT_LIST),
];

/// The names of the fields with secrets: tokens, addresses that contain tokens, and the keys and secrets of sign-ins,
/// second factors and payments. The server does not compress responses with these fields.
pub const SECRET_FIELDS: &[&str] = &[
    "accessToken",
    "authorizationUrl",
    "browserKey",
    "challenge",
    "clientSecret",
    "otpauthUrl",
    "recoveryCodes",
    "refreshToken",
    "secret",
];

/// The executable schema.
pub type JishuSchema = Schema<Query, Mutation, Subscription>;

/// The engine that checks and runs operations on the schema.
pub type JishuEngine = Engine<JishuSchema>;

/// Begins to build the schema with these services, without the engine.
#[must_use]
pub fn builder(services: Services) -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .data(services)
        .data(RenderedPapers::default())
}

/// Makes the engine with a schema that uses these services.
///
/// # Errors
/// Fails if the schema is not valid, or if the constant `LISTS` does not fit the lists of the schema.
pub fn build(services: Services, options: EngineOptions) -> Result<Arc<JishuEngine>, SchemaError> {
    // The engine validates each document before async-graphql gets it, so the schema does not need to repeat that.
    let schema = builder(services).validation_mode(ValidationMode::Fast).finish();
    let scalars =
        CustomScalars::default().with::<DateTime>("DateTime").with::<Decimal>("Decimal").with::<Uuid>("UUID");
    let page_sizes = PageSizes { default: DEFAULT_PAGE_SIZE, max: MAX_PAGE_SIZE };
    let options =
        EngineOptions { scalars, lists: LISTS, page_sizes, secret_fields: SECRET_FIELDS, ..options };
    Engine::new(schema, PARSED.clone()?, options).map(Arc::new)
}

/// The schema as the engine reads it. It is the same for all servers of a process, and takes most of the time in which
/// an engine is made.
static PARSED: LazyLock<Result<ParsedSchema, SchemaError>> = LazyLock::new(|| ParsedSchema::parse(&sdl()));

/// Returns the schema in the schema definition language, with the content of `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_enum_items().sorted_arguments().include_specified_by();
    let schema = Schema::build(Query::default(), Mutation::default(), Subscription::default()).finish();
    format!("{}\n", schema.sdl_with_options(options).trim())
}
