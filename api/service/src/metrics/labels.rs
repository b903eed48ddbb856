//! The values of labels. Each is an enum, so that the number of time series has a bound.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A label whose values are known.
pub(super) trait LabelValue: Copy + 'static {
    /// All values.
    const ALL: &'static [Self];

    /// Returns the text in the label.
    fn text(self) -> &'static str;
}

/// Defines an enum whose values are the values of a label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Returns the text in the label.
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
    /// The way in which an operation came.
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
        /// The response has an error that the client can avoid.
        ClientError = "client_error",
        /// The response has an error of the server, which is overloaded, too slow, or has a bug.
        ServerError = "server_error",
        /// The operation was not executed: the document was refused, or a budget was spent.
        Refused = "refused",
        /// The client left.
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
        /// Pictures.
        Media = "media",
        /// The checks of load balancers.
        Health = "health",
        /// Webhooks of payment providers.
        PaymentWebhook = "payment_webhook",
        /// The signing keys.
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
        /// For queries outside a transaction.
        Reader = "reader",
        /// For transactions and saved answers.
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
        /// The transaction failed for another reason.
        Failed = "failed",
    }
}

label! {
    /// Why a transaction or a statement was retried.
    RetryCause {
        /// Another transaction was in conflict.
        Conflict = "conflict",
        /// The connection was lost.
        ConnectionLost = "connection_lost",
        /// A unique key refused a row.
        TakenKey = "taken_key",
        /// A cluster had ended the transaction.
        EndedEarly = "ended_early",
    }
}

label! {
    /// The result of a purchase request.
    PurchaseResult {
        /// The request made a purchase.
        Created = "created",
        /// The buyer owned everything already, or the request was a repetition.
        Existing = "existing",
        /// A rule refused the request.
        Refused = "refused",
        /// The request failed for another reason.
        Failed = "failed",
    }
}

label! {
    /// The result of a request to start a sitting.
    StartResult {
        /// A sitting was started.
        Started = "started",
        /// The card had an open sitting.
        Resumed = "resumed",
        /// A rule refused the request.
        Refused = "refused",
        /// The request failed for another reason.
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
        /// The order was opened.
        Opened = "opened",
        /// The order was paid, and granted.
        Granted = "granted",
    }
}

label! {
    /// Where a panic was caught.
    PanicPlace {
        /// In the handler of a request, or in the operation that it executes.
        Request = "request",
        /// In an operation on a WebSocket, or in a subscription.
        Stream = "stream",
        /// In a task that runs as long as the server does.
        BackgroundTask = "background_task",
        /// In the delivery of a message of the outbox.
        Delivery = "delivery",
    }
}

label! {
    /// The result of an attempt to sign in with a password.
    SignInResult {
        /// The password was accepted. The server may still ask for a second factor.
        Succeeded = "succeeded",
        /// The sign-in was refused or failed.
        Failed = "failed",
    }
}

label! {
    /// How a delivery of a message ended.
    OutboxResult {
        /// The message was delivered.
        Delivered = "delivered",
        /// The delivery will be retried.
        Postponed = "postponed",
        /// No node tries to deliver the message any more.
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
