//! Makes an order at the payment provider. The order's row is committed before the call, and the provider's reference
//! is recorded after it.

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
use super::state::next_check;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::failpoint;

/// The result of making an order at the payment provider.
pub(super) enum Opened {
    /// The buyer can pay with these parameters.
    Payable(Box<order::Model>, ClientParameters),
    /// The buyer cannot pay now. The call to the provider failed, or the provider is not configured on this node. Or
    /// another request is still making the order there, or the order has ended. A new checkout with the same
    /// idempotency key finds this order again. Without a key, a new checkout makes a second order.
    Later,
    /// The provider refused this order or cannot process its amount, so it was cancelled.
    Refused,
}

/// Maximum number of pauses in which a repeated checkout waits for the first checkout to make the order at the
/// provider.
const WAITS_FOR_FIRST: usize = 20;
/// The length of a pause of a repeated checkout. After each pause, the repeated checkout reads the order again.
const WAIT_FOR_FIRST: Duration = Duration::from_millis(100);

/// Makes an order at the provider that an earlier request has stored. The earlier request or the reconciler may still
/// be making it there, so this function waits up to 2 seconds for it. If the wait was in vain and the earlier request
/// still has its lease, returns [`Opened::Later`] without calling the provider.
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
    if order.checks > 0 {
        // The reconciler has claimed the order, so the lease of the earlier request has ended. `due_at` may be the end
        // of a long pause of the reconciler, for which the buyer does not have to wait.
        return open(services, payments, order, false).await;
    }
    Ok(Opened::Later)
}

/// Makes the order at the provider, or finds the order that an earlier call made there. If `is_first` is true, no
/// earlier call can have reached the provider, so this function does not search.
///
/// If the provider refuses the order, this function cancels it. If the call to the provider fails in another way, the
/// order is due for the reconciler at once. But if the reconciler has checked the order already, its next check stays
/// as planned.
pub(super) async fn open(
    services: &Services,
    payments: &Payments,
    order: order::Model,
    is_first: bool,
) -> Result<Opened, Fault> {
    let Some(gateway) = payments.gateway_of(order.provider) else { return Ok(Opened::Later) };
    if order.state != OrderState::Pending {
        // The order has ended while this request waited for another request to make the order at the provider.
        return Ok(Opened::Later);
    }
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
            if order.state != OrderState::Pending {
                cancel_ended(gateway.as_ref(), &made_order, &order).await;
                return Ok(Opened::Later);
            }
            match &order.provider_reference {
                Some(recorded) if *recorded != made_order => {
                    Ok(parameters(gateway.as_ref(), recorded.clone(), order).await)
                }
                _ => Ok(Opened::Payable(Box::new(order), made.client)),
            }
        }
        Err(error @ (ProviderError::Refused { .. } | ProviderError::Amount(_))) => {
            tracing::warn!(order = %order.id, %error, "the payment provider refused an order, or cannot process its amount; the server cancels the order");
            cancel_refused(services, &order, OrderReason::ProviderCancelled).await?;
            Ok(Opened::Refused)
        }
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the payment provider did not confirm a new order; the server will retry");
            let now = services.clock.now();
            // The update releases the lease of the checkout. It must not change the lease or the next check of the
            // reconciler, which would then check the order again without a pause.
            let release = order::Entity::update_many()
                .col_expr(order::Column::DueAt, Expr::value(now))
                .filter(order::Column::Id.eq(order.id))
                .filter(order::Column::State.eq(OrderState::Pending))
                .filter(order::Column::ProviderReference.is_null())
                .filter(order::Column::Checks.eq(0));
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

/// Cancels an order at the provider that was made there after the order had ended here. If the provider cannot cancel
/// it, the buyer can still pay it. Then the reconciler finds the late money.
async fn cancel_ended(gateway: &dyn PaymentProvider, made_order: &str, order: &order::Model) {
    if let Err(error) = gateway.cancel(made_order).await {
        tracing::warn!(
            order = %order.id,
            %error,
            "an order ended while the payment provider made it, and could not be cancelled there"
        );
    }
}

/// Asks the provider for the parameters with which the buyer pays an order that exists there.
async fn parameters(gateway: &dyn PaymentProvider, reference: String, order: order::Model) -> Opened {
    match gateway.client_parameters(&reference).await {
        Ok(parameters) => Opened::Payable(Box::new(order), parameters),
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the payment provider gave no parameters to pay an order");
            Opened::Later
        }
    }
}

/// The id that the provider gave to an order. [`Self::record`] stores the id in a transaction, if the order has none
/// yet.
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
                // If the buyer pays the second order, `record` finds the order by its receipt number.
                tracing::warn!(order = %work.order.id, "the payment provider has made a second order for this receipt");
            }
            Some(_) => {}
            None => {
                // An order that has ended is checked only if the provider has it. So the next check depends on the
                // reference.
                work.order.provider_reference = Some(self.reference.clone());
                let provider_reference = Set(work.order.provider_reference.clone());
                let due_at = Set(next_check(&work.order, 0, false, work.now));
                // The pauses of the reconciler begin anew.
                let checks = Set(0);
                let update = order::ActiveModel { provider_reference, due_at, checks, ..Default::default() };
                work.update(update).await?;
            }
        }
        Ok(work.finish().await?)
    }
}

/// Tells whether an order waits for its payment and has not expired.
pub(super) fn is_payable(order: &order::Model, now: chrono::DateTime<chrono::Utc>) -> bool {
    order.state == OrderState::Pending && now < order.expires_at
}
