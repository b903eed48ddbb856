//! Makes the order at the provider. The row is committed before, and the reference is recorded after.

use std::convert::Infallible;
use std::time::Duration;

use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::{OrderId, UserId};
use payment_providers::{Amount, Capture, ClientParameters, NewPayment, PaymentProvider, ProviderError};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::end::cancel_refused;
use super::payments::Payments;
use super::state::next_look;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::failpoint;

/// An order at the provider.
pub(super) enum Opened {
    /// The buyer can pay with these parameters.
    Payable(Box<order::Model>, ClientParameters),
    /// The provider could not be asked, or its response is unknown. Another try makes no second order.
    Later,
    /// The provider never takes this order, so it was cancelled.
    Refused,
}

/// Maximum number of times that a repeated checkout looks whether the first one has made the order at the provider.
const WAITS_FOR_FIRST: usize = 20;
/// The pause between two of these looks.
const WAIT_FOR_FIRST: Duration = Duration::from_millis(100);

/// Opens an order that another request has stored. That request may be making the order at the provider right now, so this
/// one waits for it. It makes the order itself only after the time that the other request has for it.
pub(super) async fn open_again(
    services: &Services,
    payments: &Payments,
    order: order::Model,
) -> Result<Opened, Fault> {
    let mut order = order;
    for _ in 0..WAITS_FOR_FIRST {
        let is_due = order.due_at.is_none_or(|due_at| due_at <= services.clock.now());
        if order.provider_reference.is_some() || is_due || order.state != OrderState::Pending {
            return open(services, payments, order, false).await;
        }
        tokio::time::sleep(WAIT_FOR_FIRST).await;
        let found = order::Entity::find_by_id(order.id).one(services.database.reader()).await?;
        order = found.ok_or_else(|| Fault::missing(format_args!("order {}", order.id)))?;
    }
    Ok(Opened::Later)
}

/// Makes the order at the provider, or finds the one that an earlier call made. `is_first` tells that no earlier call can
/// have reached the provider.
pub(super) async fn open(
    services: &Services,
    payments: &Payments,
    order: order::Model,
    is_first: bool,
) -> Result<Opened, Fault> {
    let Some(gateway) = payments.gateway_of(order.provider) else { return Ok(Opened::Later) };
    if let Some(reference) = &order.provider_reference {
        return Ok(parameters(gateway.as_ref(), reference.clone(), order).await);
    }
    let money = Amount::new(order.amount, &order.currency);
    let description = format!("Order {}", order.receipt_number);
    let new = NewPayment {
        order_reference: &order.receipt_number,
        money: &money,
        idempotency_key: &order.reference,
        description: &description,
        capture: Capture::Automatic,
    };
    let made = if is_first { gateway.create(&new).await } else { gateway.create_again(&new).await };
    match made {
        Ok(made) => {
            failpoint::boundary("order.made-at-provider");
            let made_order = made.provider_order.clone();
            let command = ReferenceCommand {
                tools: OrderTools::of(services),
                order: (order.id, order.user_id),
                reference: made.provider_order,
            };
            let order = services
                .database
                .write_for(
                    command.order.1,
                    WritePolicy::idempotent("order.reference"),
                    command,
                    |transaction, command| Box::pin(command.record(transaction)),
                )
                .await?;
            failpoint::boundary("order.referenced");
            match &order.provider_reference {
                Some(recorded) if *recorded != made_order => {
                    Ok(parameters(gateway.as_ref(), recorded.clone(), order).await)
                }
                _ => Ok(Opened::Payable(Box::new(order), made.client)),
            }
        }
        Err(error @ (ProviderError::Refused { .. } | ProviderError::Amount(_))) => {
            tracing::warn!(order = %order.id, %error, "the provider refused an order");
            cancel_refused(services, &order, OrderReason::ProviderCancelled).await?;
            Ok(Opened::Refused)
        }
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the provider could not make an order");
            let now = services.clock.now();
            let release = order::Entity::update_many()
                .col_expr(order::Column::DueAt, Expr::value(now))
                .filter(order::Column::Id.eq(order.id))
                .filter(order::Column::State.eq(OrderState::Pending))
                .filter(order::Column::ProviderReference.is_null());
            let policy = WritePolicy::idempotent("order.release");
            services
                .database
                .write(policy, release, |transaction, release| {
                    Box::pin(async move {
                        release.clone().exec(transaction).await?;
                        Ok::<_, Error<Infallible>>(())
                    })
                })
                .await?;
            Ok(Opened::Later)
        }
    }
}

/// Asks the provider how to pay an order that it has.
async fn parameters(gateway: &dyn PaymentProvider, reference: String, order: order::Model) -> Opened {
    match gateway.client_parameters(&reference).await {
        Ok(parameters) => Opened::Payable(Box::new(order), parameters),
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the provider did not tell how to pay an order");
            Opened::Later
        }
    }
}

/// The provider's reference of an order, which is recorded once.
struct ReferenceCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    reference: String,
}

impl ReferenceCommand {
    async fn record(
        &self,
        transaction: &sea_orm::DatabaseTransaction,
    ) -> Result<order::Model, Error<Infallible>> {
        let mut work = OrderWork::open(transaction, &self.tools, self.order, Origin::server()).await?;
        match &work.order.provider_reference {
            Some(known) if *known != self.reference => {
                // Its payment would be found by the number of the receipt.
                tracing::warn!(order = %work.order.id, "the provider has made a second order");
            }
            Some(_) => {}
            None => {
                let provider_reference = Set(Some(self.reference.clone()));
                let due_at = Set(next_look(&work.order, 0, false, work.now));
                work.update(order::ActiveModel { provider_reference, due_at, ..Default::default() }).await?;
            }
        }
        Ok(work.finish().await?)
    }
}

/// Tells whether the buyer can pay an order now.
pub(super) fn is_payable(order: &order::Model, now: chrono::DateTime<chrono::Utc>) -> bool {
    order.state == OrderState::Pending && now < order.expires_at
}
