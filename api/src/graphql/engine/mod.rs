//! From a request to what the engine runs, as the specification has it.
//!
//! async-graphql resolves. What it leaves open is closed here, before it sees a document:
//!
//! 1. [`persisted`]: an id becomes the text it names;
//! 2. [`budget`]: a document is measured before anything walks what it expands to;
//! 3. apollo-compiler validates it against the schema, [`values`] what it lets pass, and [`scalars`] the values of our
//!    own scalars;
//! 4. variables are coerced, and [`cost`] tells how many objects the answer may have;
//! 5. [`plan`] flattens fragments and merges repeated fields.
//!
//! Steps 2, 3 and 5 are done once for each document that is sent again: [`Document`]s are cached.

mod budget;
mod cost;
mod document;
mod limits;
mod persisted;
mod plan;
mod scalars;
#[cfg(test)]
mod tests;
mod value;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Schema, executable};
use async_graphql::parser::types::{DocumentOperations, OperationType, Selection};
use async_graphql::{
    Data, ErrorExtensionValues, Executor, Name, Request, Response, ServerError, Value, Variables,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use document::Document;
use limits::Exceeded;
use persisted::{PersistedDocuments, Reference, Unknown};
use plan::{Given, Plan};

pub use limits::Limits;
pub use persisted::{ManifestError, TrustedDocuments};
pub use scalars::Scalars;

/// How many bytes of text the cached documents may have. What is kept of one takes some 20 times its text.
const CACHED_BYTES: u64 = 2 * 1024 * 1024;

/// How an engine differs from the default.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What documents may ask for.
    pub limits: Limits,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Documents that go by their id.
    pub trusted: TrustedDocuments,
    /// Whether nothing else is accepted.
    pub trusted_only: bool,
    /// Whether documents that clients sent with their hash go by it afterwards.
    pub automatic_persisted_queries: bool,
    /// The scalars of the schema that the specification does not know.
    pub scalars: Scalars,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            introspection: true,
            trusted: TrustedDocuments::default(),
            trusted_only: false,
            automatic_persisted_queries: true,
            scalars: Scalars::default(),
        }
    }
}

/// The schema cannot be used. A test that builds the engine finds that.
#[derive(Debug, thiserror::Error)]
#[error("the schema is not valid: {0}")]
pub struct SchemaError(String);

/// What a client asks for, over whatever transport.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The text of the document.
    pub query: Option<String>,
    /// The id of a trusted document.
    pub document_id: Option<String>,
    /// Which of the document's operations.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: JsonMap,
    /// `persistedQuery` in it names a document by its hash.
    pub extensions: JsonMap,
}

impl Call {
    /// Whether it says which document it is about.
    #[must_use]
    pub fn names_a_document(&self) -> bool {
        self.query.as_deref().is_some_and(|query| !query.trim().is_empty())
            || self.document_id.is_some()
            || self.extensions.get("persistedQuery").is_some()
    }
}

/// An operation that may be executed.
pub struct Operation {
    kind: OperationType,
    cost: u64,
    request: Request,
}

impl Operation {
    /// Whether it reads, changes or subscribes.
    #[must_use]
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// At most how many objects its answer has, and 10 for each field of a mutation.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

/// Why nothing is executed. The answer has these errors and no `data`.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Each with `extensions.code`.
    pub errors: Vec<ServerError>,
    /// Whether the request is refused for itself, and not for what its document says: it is beyond a limit, or
    /// names its document wrongly.
    pub malformed: bool,
}

impl Refusal {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { errors: vec![coded(code, ServerError::new(message, None))], malformed: false }
    }

    fn invalid(errors: Vec<ServerError>) -> Self {
        let errors = errors.into_iter().map(|error| coded(INVALID, error)).collect();
        Self { errors, malformed: false }
    }
}

const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

fn coded(code: &str, mut error: ServerError) -> ServerError {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
    error
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let mut error = coded("LIMIT_EXCEEDED", ServerError::new(exceeded.message(), None));
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("limit", exceeded.limit);
        extensions.set("maximum", exceeded.maximum);
        Self { errors: vec![error], malformed: true }
    }
}

impl From<Unknown> for Refusal {
    fn from(unknown: Unknown) -> Self {
        let (code, message) = match unknown {
            Unknown::Missing => ("BAD_REQUEST", "`query` is missing: put the document there."),
            Unknown::Mismatch => (
                "BAD_REQUEST",
                "The hash is not the SHA-256 of the document that came with it, in hexadecimal digits.",
            ),
            Unknown::Document => (
                "PERSISTED_DOCUMENT_NOT_FOUND",
                "No trusted document has this id. Give the server the manifest that was built with the client.",
            ),
            // The message and the code are those that Apollo's clients wait for.
            Unknown::Query => ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"),
            Unknown::Untrusted => (
                "PERSISTED_DOCUMENT_REQUIRED",
                "Only trusted documents are accepted here: send `documentId` instead of `query`.",
            ),
        };
        Self { malformed: code == "BAD_REQUEST", ..Self::new(code, message) }
    }
}

/// Prepares and runs operations.
pub struct Engine<E> {
    executor: E,
    schema: Valid<Schema>,
    limits: Limits,
    introspection: bool,
    scalars: Scalars,
    persisted: PersistedDocuments,
    documents: Cache<Arc<str>, Arc<Document>, ByText>,
}

#[derive(Clone)]
struct ByText;

impl Weighter<Arc<str>, Arc<Document>> for ByText {
    fn weight(&self, text: &Arc<str>, _: &Arc<Document>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(100)
    }
}

impl<E: Executor> Engine<E> {
    /// An engine over a schema of async-graphql, whose SDL is `sdl`. The schema is to be built with
    /// `ValidationMode::Fast`: its own rules know nothing of what was done before.
    ///
    /// # Errors
    /// When the SDL is not valid.
    pub fn new(executor: E, sdl: &str, options: EngineOptions) -> Result<Self, SchemaError> {
        let EngineOptions {
            limits,
            introspection,
            trusted,
            trusted_only,
            automatic_persisted_queries,
            scalars,
        } = options;
        let schema = Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|error| SchemaError(error.errors.to_string()))?;
        Ok(Self {
            executor,
            schema,
            limits,
            introspection,
            scalars,
            persisted: PersistedDocuments::new(trusted, trusted_only, automatic_persisted_queries),
            documents: Cache::with_weighter(1_000, CACHED_BYTES, ByText),
        })
    }

    /// Everything that comes before execution. It takes as long as the text is long, however the document was made.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to change.
    pub fn prepare(&self, call: &Call) -> Result<Operation, Refusal> {
        let document = self.document(call)?;
        let operation = document.operation(call.operation_name.as_deref())?;
        let variables = self.variables(&document, operation, &call.variables)?;
        let given = given(operation, &variables);
        let plan = document.plan(&self.schema, operation, &given);
        if !self.introspection {
            refuse_introspection(&plan)?;
        }
        let cost = plan.cost.count(&variables);
        if cost > self.limits.cost {
            return Err(Exceeded { limit: "cost", maximum: self.limits.cost }.into());
        }
        let mut request = Request::new(String::new()).variables(variables);
        request.set_parsed_query(plan.document.clone());
        Ok(Operation { kind: plan.kind, cost, request })
    }

    /// Runs a query or a mutation. `data` is what resolvers find in their context.
    pub async fn execute(&self, operation: Operation, data: Data) -> Response {
        let mut request = operation.request;
        request.data = data;
        self.bounded(self.executor.execute(request).await)
    }

    /// Runs a subscription: an answer for each event. A query or a mutation is answered once.
    pub fn subscribe(self: &Arc<Self>, operation: Operation, data: Data) -> BoxStream<'static, Response>
    where
        E: Executor,
    {
        let mut request = operation.request;
        request.data = data;
        let engine = Arc::clone(self);
        self.executor.execute_stream(request, None).map(move |response| engine.bounded(response)).boxed()
    }

    fn document(&self, call: &Call) -> Result<Arc<Document>, Refusal> {
        let query_hash = call
            .extensions
            .get("persistedQuery")
            .and_then(|persisted| persisted.get("sha256Hash"))
            .and_then(JsonValue::as_str);
        let text = call.query.as_deref().filter(|text| !text.trim().is_empty());
        let reference = Reference { text, document_id: call.document_id.as_deref(), query_hash };
        let text = self.persisted.resolve(&reference)?;
        if let Some(document) = self.documents.get(&text) {
            self.persisted.remember(&reference, &text);
            return Ok(document);
        }
        let document = Arc::new(Document::new(&text, &self.schema, &self.limits, &self.scalars)?);
        self.documents.insert(Arc::clone(&text), Arc::clone(&document));
        self.persisted.remember(&reference, &text);
        Ok(document)
    }

    fn variables(
        &self,
        document: &Document,
        operation: &executable::Operation,
        values: &JsonMap,
    ) -> Result<Variables, Refusal> {
        let coerced = coerce_variable_values(&self.schema, operation, values)
            .map_err(|_| self.variables_refusal(document, operation, values))?;
        let coerced = coerced.into_inner().into_iter();
        let coerced = coerced.map(|(name, item)| (Name::new(name.as_str()), value::variable(item))).collect();
        let variables = Variables::from_value(Value::Object(coerced));
        self.scalars
            .check_variables(&self.schema, operation, &variables)
            .map_err(|misfit| Refusal::invalid(vec![document.error(misfit.message, misfit.location)]))?;
        Ok(variables)
    }

    /// Which variables do not fit, and where they are declared: apollo-compiler tells neither, and stops at the first.
    fn variables_refusal(
        &self,
        document: &Document,
        operation: &executable::Operation,
        values: &JsonMap,
    ) -> Refusal {
        let mut errors = Vec::new();
        for variable in &operation.variables {
            let alone = executable::Operation {
                operation_type: operation.operation_type,
                name: None,
                variables: vec![variable.clone()],
                directives: executable::DirectiveList::new(),
                selection_set: executable::SelectionSet::new(operation.selection_set.ty.clone()),
            };
            if let Err(error) = coerce_variable_values(&self.schema, &alone, values) {
                let message = format!("The variable `${}` does not fit: {}", variable.name, error.message());
                errors.push(document.error(message, variable.location()));
            }
        }
        errors.truncate(self.limits.errors);
        Refusal::invalid(errors)
    }

    /// With no more errors than a client can want to read.
    fn bounded(&self, mut response: Response) -> Response {
        let found = response.errors.len();
        if found > self.limits.errors {
            response.errors.truncate(self.limits.errors);
            let more = found - self.limits.errors;
            let error = ServerError::new(format!("{more} more errors are left out."), None);
            response.errors.push(coded("LIMIT_EXCEEDED", error));
        }
        response
    }
}

fn given<'o>(operation: &'o executable::Operation, variables: &Variables) -> HashMap<&'o str, Given> {
    let given = |name: &str| match variables.get(name) {
        None => Given::Absent,
        Some(Value::Boolean(true)) => Given::True,
        Some(Value::Boolean(false)) => Given::False,
        Some(_) => Given::Other,
    };
    operation.variables.iter().map(|variable| (variable.name.as_str(), given(&variable.name))).collect()
}

fn refuse_introspection(plan: &Plan) -> Result<(), Refusal> {
    let DocumentOperations::Single(operation) = &plan.document.operations else { return Ok(()) };
    for selection in &operation.node.selection_set.node.items {
        if let Selection::Field(field) = &selection.node
            && matches!(field.node.name.node.as_str(), "__schema" | "__type")
        {
            return Err(Refusal::new("INTROSPECTION_DISABLED", "This server does not answer introspection."));
        }
    }
    Ok(())
}
