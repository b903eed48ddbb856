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
mod cache;
mod cost;
mod document;
mod limits;
mod lists;
mod model;
mod path;
mod persisted;
mod plan;
mod refusal;
mod scalars;
#[cfg(test)]
mod tests;
mod value;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonValue;
use apollo_compiler::{Schema, executable};
use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Data, Executor, Name, Request, Response, ServerError, Value, Variables};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use cache::{Documents, Plans};
use document::{Document, size};
use limits::{Exceeded, Limit};
use model::Model;
use persisted::{PersistedDocuments, Reference};
use plan::{Given, NoPlan, Plan};
use refusal::coded;

pub use apollo_compiler::response::JsonMap;
pub use limits::Limits;
pub use lists::{Length, Lists, PageSizes};
pub use persisted::{ManifestError, TrustedDocuments};
pub use refusal::Refusal;
pub use scalars::Scalars;

/// A plan may have so many times the selections that a document may: those on an abstract type stand once for each of
/// its objects' types.
const TYPES_APART: u32 = 10;

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
    /// The lists of the schema that `first` and `last` do not bound, all of them.
    pub lists: Lists,
    /// The number of items in the pages of the schema.
    pub page_sizes: PageSizes,
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
            lists: &[],
            page_sizes: PageSizes::default(),
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
        self.text().is_some() || self.id().is_some() || self.extensions.get("persistedQuery").is_some()
    }

    fn text(&self) -> Option<&str> {
        self.query.as_deref().filter(|text| !text.trim().is_empty())
    }

    fn id(&self) -> Option<&str> {
        self.document_id.as_deref().filter(|id| !id.is_empty())
    }
}

/// An operation that may be executed.
pub struct Operation {
    cost: u64,
    request: Request,
    plan: Arc<Plan>,
}

impl Operation {
    /// Whether it reads, changes or subscribes.
    #[must_use]
    pub fn kind(&self) -> OperationType {
        self.plan.kind
    }

    /// At most how many objects its answer has, with a tenth of one for each scalar, and 10 for each field of a
    /// mutation.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

/// Prepares and runs operations.
pub struct Engine<E> {
    executor: E,
    model: Model,
    limits: Limits,
    introspection: bool,
    scalars: Scalars,
    persisted: PersistedDocuments,
    documents: Documents,
    plans: Plans,
}

impl<E: Executor> Engine<E> {
    /// An engine over a schema of async-graphql, whose SDL is `sdl`. The schema is to be built with
    /// `ValidationMode::Fast`: its own rules know nothing of what was done before.
    ///
    /// # Errors
    /// When the SDL is not valid, or has a list of objects of which nothing says how long it is.
    pub fn new(executor: E, sdl: &str, options: EngineOptions) -> Result<Self, SchemaError> {
        let EngineOptions {
            limits,
            introspection,
            trusted,
            trusted_only,
            automatic_persisted_queries,
            scalars,
            lists,
            page_sizes,
        } = options;
        let schema = Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|error| SchemaError(error.errors.to_string()))?;
        Ok(Self {
            executor,
            model: Model::new(schema, lists, page_sizes).map_err(SchemaError)?,
            limits,
            introspection,
            scalars,
            persisted: PersistedDocuments::new(trusted, trusted_only, automatic_persisted_queries),
            documents: cache::documents(),
            plans: cache::plans(),
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
        let plan = self.plan(&document, operation, &given)?;
        if !self.introspection {
            refuse_introspection(&plan)?;
        }
        let cost = plan.cost.objects(&variables);
        let (limit, maximum) = match plan.kind {
            OperationType::Subscription => (Limit::EventCost, self.limits.event_cost),
            OperationType::Query | OperationType::Mutation => (Limit::Cost, self.limits.cost),
        };
        if cost > u64::from(maximum) {
            return Err(Exceeded { limit, maximum }.into());
        }
        let mut request = Request::new(String::new()).variables(variables);
        request.set_parsed_query(plan.document.clone());
        Ok(Operation { cost, request, plan })
    }

    /// Runs a query or a mutation. `data` is what resolvers find in their context.
    pub async fn execute(&self, operation: Operation, data: Data) -> Response {
        let Operation { mut request, plan, .. } = operation;
        request.data = data;
        self.finished(&plan, self.executor.execute(request).await)
    }

    /// Runs a subscription: an answer for each event. A query or a mutation is answered once.
    pub fn subscribe(self: &Arc<Self>, operation: Operation, data: Data) -> BoxStream<'static, Response> {
        let Operation { mut request, plan, .. } = operation;
        request.data = data;
        let engine = Arc::clone(self);
        let responses = self.executor.execute_stream(request, None);
        responses.map(move |response| engine.finished(&plan, response)).boxed()
    }

    fn document(&self, call: &Call) -> Result<Arc<Document>, Refusal> {
        let query_hash = call
            .extensions
            .get("persistedQuery")
            .and_then(|persisted| persisted.get("sha256Hash"))
            .and_then(JsonValue::as_str);
        let reference = Reference { text: call.text(), document_id: call.id(), query_hash };
        let text = self.persisted.resolve(&reference)?;
        if let Some(document) = self.documents.get(&text) {
            self.persisted.remember(&reference, &text);
            return Ok(document);
        }
        let document = Arc::new(Document::new(&text, &self.model, &self.limits, &self.scalars)?);
        self.documents.insert(Arc::clone(&text), Arc::clone(&document));
        self.persisted.remember(&reference, &text);
        Ok(document)
    }

    fn plan(
        &self,
        document: &Document,
        operation: &executable::Operation,
        given: &HashMap<&str, Given>,
    ) -> Result<Arc<Plan>, Refusal> {
        let choices = operation.variables.iter().filter_map(|it| given.get(it.name.as_str()).copied());
        let key = (document.id, operation.name.clone(), choices.collect());
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let largest =
            size(self.limits.selections.saturating_mul(TYPES_APART).saturating_add(self.limits.tokens));
        let plan = Plan::new(&self.model, &document.executable, operation, given, largest);
        let plan = Arc::new(plan.map_err(|reason| match reason {
            NoPlan::TooLarge => Exceeded { limit: Limit::Selections, maximum: self.limits.selections }.into(),
            NoPlan::NullCondition(misfit) => {
                Refusal::invalid(vec![document.error(misfit.message, misfit.location)])
            }
        })?);
        self.plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    fn variables(
        &self,
        document: &Document,
        operation: &executable::Operation,
        values: &JsonMap,
    ) -> Result<Variables, Refusal> {
        let values = &*value::with_whole_numbers(values);
        let coerced = coerce_variable_values(&self.model.schema, operation, values)
            .map_err(|_| self.variables_refusal(document, operation, values))?;
        let coerced = coerced.into_inner().into_iter();
        let coerced = coerced.map(|(name, item)| (Name::new(name.as_str()), value::variable(item))).collect();
        let variables = Variables::from_value(Value::Object(coerced));
        self.scalars
            .check_variables(&self.model.schema, operation, &variables)
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
            if let Err(error) = coerce_variable_values(&self.model.schema, &alone, values) {
                let message = format!("The variable `${}` does not fit: {}", variable.name, error.message());
                errors.push(document.error(message, variable.location()));
            }
        }
        errors.truncate(size(self.limits.errors));
        Refusal::invalid(errors)
    }

    /// With whole paths, and no more errors than a client can want to read.
    fn finished(&self, plan: &Plan, mut response: Response) -> Response {
        let (found, most) = (response.errors.len(), size(self.limits.errors));
        response.errors.truncate(most);
        path::complete(plan, &mut response.errors);
        if found > most {
            let error = ServerError::new(format!("{} more errors are left out.", found - most), None);
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
    for selection in plan.root().into_iter().flat_map(|root| &root.items) {
        if let Selection::Field(field) = &selection.node
            && matches!(field.node.name.node.as_str(), "__schema" | "__type")
        {
            return Err(Refusal::new("INTROSPECTION_DISABLED", "This server does not answer introspection."));
        }
    }
    Ok(())
}
