//! Prepares and runs operations.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::validation::Valid;
use apollo_compiler::{Schema, executable};
use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Data, Executor, Request, Response, ServerError};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::cache::{self, DocumentCache, PlanCache};
use crate::custom_scalars::CustomScalars;
use crate::document::{Document, size};
use crate::limits::{DocumentLimits, Limit, LimitExceeded};
use crate::options::EngineOptions;
use crate::persisted::PersistedDocuments;
use crate::plain::Fragments;
use crate::plan::{Plan, PlanError, VariableState};
use crate::rejection::{Rejection, with_code};
use crate::request::GraphqlRequest;
use crate::response::ExecutedResponse;
use crate::schema_index::SchemaIndex;
use crate::{error_path, variables};

/// The factor by which a plan may have more selections than a document may have. A plan repeats the selections on an
/// abstract type for each object type.
const MAX_PLAN_GROWTH: u32 = 10;

/// The error that the schema cannot be used. A test that builds the engine finds this error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the schema is not valid: {0}")]
pub struct SchemaError(String);

/// A valid schema in the form that the engine reads. Clones share the types, so a process that makes several engines,
/// such as a test, can parse the schema once.
#[derive(Clone, Debug)]
pub struct ParsedSchema(Valid<Schema>);

impl ParsedSchema {
    /// Parses a schema in the schema definition language.
    ///
    /// # Errors
    /// Fails if the schema is not valid.
    pub fn parse(sdl: &str) -> Result<Self, SchemaError> {
        let parsed = Schema::parse_and_validate(sdl, "schema.graphql");
        parsed.map(Self).map_err(|error| SchemaError(error.errors.to_string()))
    }
}

/// An operation that passed all checks and can be executed.
pub struct PreparedOperation {
    /// The name of the operation. None if its document is not trusted, or if the operation has no name.
    trusted_name: Option<apollo_compiler::Name>,
    cost: u64,
    request: Request,
    plan: Arc<Plan>,
}

impl PreparedOperation {
    /// Returns the kind of the operation: a query, a mutation or a subscription.
    #[must_use]
    pub fn kind(&self) -> OperationType {
        self.plan.kind
    }

    /// Returns the name of the operation if its document is in the manifest of trusted documents. A stranger can choose
    /// the name of any other operation, so that name must not become a label of a metric or a part of a trace.
    #[must_use]
    pub fn trusted_name(&self) -> Option<&str> {
        self.trusted_name.as_deref()
    }

    /// Returns the names of the root fields, in the order of the document. They are names of the schema, because the
    /// document is validated.
    pub fn root_fields(&self) -> impl Iterator<Item = &str> {
        let items = self.plan.root().map(|root| root.items.as_slice()).unwrap_or_default();
        items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => Some(field.node.name.node.as_str()),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        })
    }

    /// Returns whether the operation selects a field whose name is in [`EngineOptions::secret_fields`].
    #[must_use]
    pub fn selects_secrets(&self) -> bool {
        self.plan.has_secrets
    }

    /// Returns the cost of the operation: about the largest number of objects that the response can have. Ten scalars
    /// count as one object. Each root field of a mutation costs 10 in addition.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

/// Prepares and runs operations on a schema.
pub struct Engine<E> {
    executor: E,
    schema_index: SchemaIndex,
    limits: DocumentLimits,
    introspection: bool,
    scalars: CustomScalars,
    persisted: PersistedDocuments,
    secret_fields: &'static [&'static str],
    plain_fields: bool,
    documents: DocumentCache,
    plans: PlanCache,
}

impl<E: Executor> Engine<E> {
    /// Makes an engine for a schema of async-graphql. `schema` is the same schema, parsed from the schema definition
    /// language.
    ///
    /// Build the schema with `ValidationMode::Fast`. The strict mode repeats validation with less precise rules.
    ///
    /// # Errors
    /// Fails unless [`EngineOptions::lists`] gives a length for exactly the lists of objects that are not pages.
    pub fn new(executor: E, schema: ParsedSchema, options: EngineOptions) -> Result<Self, SchemaError> {
        let EngineOptions {
            limits,
            introspection,
            trusted,
            trusted_only,
            automatic_persisted_queries,
            scalars,
            lists,
            page_sizes,
            secret_fields,
            plain_fields,
        } = options;
        Ok(Self {
            executor,
            schema_index: SchemaIndex::new(schema.0, lists, page_sizes).map_err(SchemaError)?,
            limits,
            introspection,
            scalars,
            persisted: PersistedDocuments::new(trusted, trusted_only, automatic_persisted_queries),
            secret_fields,
            plain_fields,
            documents: cache::documents(),
            plans: cache::plans(),
        })
    }

    /// Prepares an operation for execution: finds its document, validates it, coerces the variables, makes the plan and
    /// checks the limits. The time that this takes grows with the length of the document's text, and not with the size
    /// of its expanded fragments.
    ///
    /// # Errors
    /// Returns a [`Rejection`] whose errors say what to change in the request.
    pub fn prepare(&self, request: &GraphqlRequest) -> Result<PreparedOperation, Rejection> {
        let document = self.document(request)?;
        let operation = document.operation(request.operation_name.as_deref())?;
        let variables = variables::coerce(
            &self.schema_index,
            &self.scalars,
            &document,
            operation,
            &request.variables,
            self.limits.errors,
        )?;
        let plan = self.plan(&document, operation, &variables::states(operation, &variables))?;
        if !self.introspection {
            refuse_introspection(&plan)?;
        }
        let cost = plan.cost.objects(&variables);
        let (limit, maximum) = match plan.kind {
            OperationType::Subscription => (Limit::EventCost, self.limits.event_cost),
            OperationType::Query | OperationType::Mutation => (Limit::Cost, self.limits.cost),
        };
        if cost > u64::from(maximum) {
            return Err(LimitExceeded { limit, maximum }.into());
        }
        let mut request = Request::new(String::new()).variables(variables);
        request.set_parsed_query(plan.document.clone());
        let trusted_name = operation.name.clone().filter(|_| document.is_trusted);
        Ok(PreparedOperation { trusted_name, cost, request, plan })
    }

    /// Runs a query or a mutation, and returns its response. Resolvers find `data` in their context.
    pub async fn execute(&self, operation: PreparedOperation, data: Data) -> ExecutedResponse {
        let PreparedOperation { mut request, plan, .. } = operation;
        let fragments = Fragments::default();
        request.data = self.with_fragments(data, &fragments);
        self.finish(&plan, self.executor.execute(request).await, &fragments)
    }

    /// Runs a subscription. The stream has a response for each event. For a query or a mutation, it has one response.
    /// Resolvers find `data` in their context.
    pub fn subscribe(
        self: &Arc<Self>,
        operation: PreparedOperation,
        data: Data,
    ) -> BoxStream<'static, ExecutedResponse> {
        let PreparedOperation { mut request, plan, .. } = operation;
        let fragments = Fragments::default();
        request.data = self.with_fragments(data, &fragments);
        let engine = Arc::clone(self);
        let responses = self.executor.execute_stream(request, None);
        responses.map(move |response| engine.finish(&plan, response, &fragments)).boxed()
    }

    /// Adds `fragments` to the data of a request, so that plain fields write into them. Does nothing if the options
    /// switch plain fields off.
    fn with_fragments(&self, mut data: Data, fragments: &Fragments) -> Data {
        if self.plain_fields {
            data.insert(fragments.clone());
        }
        data
    }

    /// Finds the document of a request. Parses and validates the document if it is not in the cache. If the client sent
    /// the text with its hash, remembers the text.
    fn document(&self, request: &GraphqlRequest) -> Result<Arc<Document>, Rejection> {
        let reference = request.reference();
        let text = self.persisted.resolve(&reference)?;
        let document = match self.documents.get(&text) {
            Some(document) => document,
            None => {
                let is_trusted = self.persisted.is_trusted(&text);
                let document =
                    Document::new(&text, &self.schema_index, &self.limits, &self.scalars, is_trusted)?;
                let document = Arc::new(document);
                self.documents.insert(Arc::clone(&text), Arc::clone(&document));
                document
            }
        };
        self.persisted.remember(&reference, &text);
        Ok(document)
    }

    /// Finds the plan of an operation in the cache. Makes the plan if the cache lacks it. Rejects the request if the
    /// plan would be too large, or if the condition of `@skip` or `@include` is null.
    fn plan(
        &self,
        document: &Document,
        operation: &executable::Operation,
        variables: &HashMap<&str, VariableState>,
    ) -> Result<Arc<Plan>, Rejection> {
        let states = operation.variables.iter().filter_map(|it| variables.get(it.name.as_str()).copied());
        let key = (document.id, operation.name.clone(), states.collect());
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let maximum = self.limits.selections.saturating_mul(MAX_PLAN_GROWTH);
        let maximum = maximum.saturating_add(self.limits.tokens);
        let plan = Plan::new(&self.schema_index, &document.executable, operation, variables, size(maximum));
        let plan = plan.map_err(|error| match error {
            PlanError::TooLarge => LimitExceeded { limit: Limit::PlanSize, maximum }.into(),
            PlanError::NullCondition(error) => {
                Rejection::invalid(vec![document.error(error.message, error.location)])
            }
        })?;
        let plan = Arc::new(plan.with_secrets(self.secret_fields));
        self.plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    /// Turns a response of async-graphql into a response of the engine. Completes the paths of errors. If there are
    /// more errors than the limit, replaces the errors beyond the limit by one error that counts them.
    fn finish(&self, plan: &Plan, mut response: Response, fragments: &Fragments) -> ExecutedResponse {
        let (count, max_count) = (response.errors.len(), size(self.limits.errors));
        response.errors.truncate(max_count);
        error_path::complete(plan, &mut response.errors);
        if count > max_count {
            let message = format!("{} more errors were left out.", count - max_count);
            response.errors.push(with_code("LIMIT_EXCEEDED", ServerError::new(message, None)));
        }
        ExecutedResponse::new(response, fragments.take())
    }

    #[cfg(test)]
    pub(crate) fn plan_cache(&self) -> &PlanCache {
        &self.plans
    }
}

/// Rejects a plan that has the root field `__schema` or `__type`.
fn refuse_introspection(plan: &Plan) -> Result<(), Rejection> {
    for selection in plan.root().into_iter().flat_map(|root| &root.items) {
        if let Selection::Field(field) = &selection.node
            && matches!(field.node.name.node.as_str(), "__schema" | "__type")
        {
            let message = "Introspection is disabled on this server. Use a copy of the schema.";
            return Err(Rejection::new("INTROSPECTION_DISABLED", message));
        }
    }
    Ok(())
}
