//! The values of labels. The values of each label are an enum, so that the number of time series has a bound.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::error::Error;

/// An enum whose variants are all values of a label.
pub(super) trait LabelValue: Copy + 'static {
    /// All values of the label.
    const ALL: &'static [Self];

    /// Returns the text of this value in the label.
    fn text(self) -> &'static str;
}

/// Defines an enum whose variants are the values of a label, each with its text.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Returns the text of this value in the label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl $crate::metrics::labels::LabelValue for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn text(self) -> &'static str {
                self.as_str()
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    };
}
pub(super) use label;

label! {
    /// The way in which a client sent an operation.
    OperationTransport {
        /// A POST request.
        Post = "post",
        /// A GET request.
        Get = "get",
        /// A request with a stream of events as its response.
        EventStream = "event_stream",
        /// A message on a WebSocket.
        WebSocket = "websocket",
    }
}

label! {
    /// The kind of an operation.
    OperationKind {
        /// A query.
        Query = "query",
        /// A mutation.
        Mutation = "mutation",
        /// A subscription.
        Subscription = "subscription",
    }
}

label! {
    /// How an operation ended.
    OperationOutcome {
        /// The response has no error. It may have user errors.
        Ok = "ok",
        /// The response has an error that the client caused and can avoid.
        ClientError = "client_error",
        /// The response has an error of the server, which is overloaded, too slow, or has a bug.
        ServerError = "server_error",
        /// The operation was not executed: the document was refused, or a budget was spent.
        Refused = "refused",
        /// The client left before the operation ended.
        Abandoned = "abandoned",
    }
}

label! {
    /// A route of the server.
    HttpRoute {
        /// GraphQL, over each transport.
        Graphql = "graphql",
        /// The export of the data of a person.
        Export = "export",
        /// The pictures of questions.
        Media = "media",
        /// The health checks, which load balancers request.
        Health = "health",
        /// Webhooks of payment providers.
        PaymentWebhook = "payment_webhook",
        /// The public signing keys, for programs that verify access tokens.
        Keys = "keys",
        /// Everything else, such as `GraphiQL`.
        Other = "other",
    }
}

label! {
    /// Whether the cost of an operation was charged or refused.
    CostResult {
        /// The cost was charged to a budget.
        Charged = "charged",
        /// The budget was spent, so the operation was refused.
        Refused = "refused",
    }
}

label! {
    /// A pool of connections to the database.
    PoolName {
        /// The pool for queries outside a transaction.
        Reader = "reader",
        /// The pool for transactions and for batches of answers.
        Writer = "writer",
    }
}

label! {
    /// How a transaction ended, after all its retries.
    TransactionOutcome {
        /// The transaction was committed.
        Committed = "committed",
        /// A rule refused the transaction.
        Refused = "refused",
        /// The transaction failed because of an error.
        Failed = "failed",
    }
}

label! {
    /// Why a transaction or a statement was retried.
    RetryCause {
        /// The transaction or statement was in conflict with another transaction.
        Conflict = "conflict",
        /// The connection to the database was lost.
        ConnectionLost = "connection_lost",
        /// A unique key refused a row, because another transaction has stored the same key.
        TakenKey = "taken_key",
        /// A Galera cluster had ended the transaction before its commit, although no statement had reported a conflict.
        EndedEarly = "ended_early",
        /// The group of transactions failed with which the transaction shared a transaction of the database.
        Group = "group",
    }
}

impl TransactionOutcome {
    /// Returns the outcome of a transaction with this result.
    pub(crate) fn of<T, R>(result: &Result<T, Error<R>>) -> Self {
        match result {
            Ok(_) => Self::Committed,
            Err(Error::Refused(_)) => Self::Refused,
            Err(Error::Failed(_)) => Self::Failed,
        }
    }
}

label! {
    /// The result of a request to purchase without payment.
    PurchaseResult {
        /// The request made a purchase.
        Created = "created",
        /// The buyer owned all subjects already, or the request repeated an earlier one.
        Existing = "existing",
        /// A rule refused the request.
        Refused = "refused",
        /// The request failed because of an error.
        Failed = "failed",
    }
}

label! {
    /// The result of a request to start a sitting.
    StartResult {
        /// A sitting was started.
        Started = "started",
        /// The card had an open sitting, which the learner continues.
        Resumed = "resumed",
        /// A rule refused the request.
        Refused = "refused",
        /// The request failed because of an error.
        Failed = "failed",
    }
}

label! {
    /// How a sitting ended.
    SittingEnd {
        /// The learner submitted the sitting.
        Learner = "learner",
        /// The server closed the sitting after its deadline.
        Deadline = "deadline",
    }
}

label! {
    /// A step in the life of an order.
    OrderStep {
        /// A new order was made, and waits for its payment at a payment provider or by hand.
        Opened = "opened",
        /// The order was paid, and the server made a purchase from it.
        Granted = "granted",
    }
}

label! {
    /// The place where a panic was caught.
    PanicPlace {
        /// The panic was in the handler of a request, or in the operation that the request executes.
        Request = "request",
        /// The panic was in an operation on a WebSocket, or in a subscription.
        Stream = "stream",
        /// The panic was in a task that runs as long as the server does.
        BackgroundTask = "background_task",
        /// The panic was in the delivery of a message of the outbox.
        Delivery = "delivery",
    }
}

label! {
    /// The result of an attempt to sign in with a password.
    SignInResult {
        /// The password was accepted. The server may still ask for a second factor.
        Succeeded = "succeeded",
        /// The sign-in was refused, or failed because of an error.
        Failed = "failed",
    }
}

label! {
    /// How the delivery of a message of the outbox ended.
    OutboxResult {
        /// The message was delivered.
        Delivered = "delivered",
        /// The delivery failed, and a node will retry it.
        Postponed = "postponed",
        /// The delivery failed, and no node will retry it by itself.
        Dead = "dead",
    }
}

/// The labels of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OperationLabels {
    /// The name of an operation in a trusted document; `other` for any other operation.
    pub operation: Arc<str>,
    /// Query, mutation or subscription.
    pub kind: OperationKind,
    /// How the operation ended.
    pub outcome: OperationOutcome,
}
