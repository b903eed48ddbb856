//! Erases the texts that staff wrote about the orders of a deleted account. The amounts stay, and payment refunds
//! that are under way continue.

use jishu_entity::order::OrderProvider;
use jishu_entity::outbox_message::OutboxChannel;
use jishu_entity::payment_event::PaymentEventKind;
use jishu_entity::{OrderId, UserId, audit_event, order, outbox_message, payment_event, payment_refund};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::erase::{ERASED_TEXT, containing, names};
use crate::database::MAX_IDS_PER_STATEMENT;
use crate::order::{DECISION_TEXT, RESOLVED, fact_name};

/// Erases the texts that staff wrote about the orders of the person: the references of payments by hand, and the
/// reasons of decisions. Also erases each reason of a decision about another order that contains the e-mail address of
/// the person. Removes the account from messages of the outbox to a payment provider, so that these messages are still
/// sent.
pub(super) async fn texts(transaction: &DatabaseTransaction, user: UserId, email: &str) -> Result<(), DbErr> {
    outbox_message::Entity::update_many()
        .col_expr(outbox_message::Column::UserId, Expr::value(None::<i64>))
        .filter(outbox_message::Column::UserId.eq(user))
        .filter(outbox_message::Column::Channel.eq(OutboxChannel::Payment))
        .exec(transaction)
        .await?;
    let orders: Vec<(OrderId, OrderProvider)> = order::Entity::of(user)
        .select_only()
        .columns([order::Column::Id, order::Column::Provider])
        .into_tuple()
        .all(transaction)
        .await?;
    for orders in orders.chunks(MAX_IDS_PER_STATEMENT) {
        let ids = orders.iter().map(|(id, _)| id.0);
        let about = Condition::all().add(audit_event::Column::TargetId.is_in(ids));
        decisions(transaction, about, |_| true).await?;
        let by_hand = orders.iter().filter(|(_, provider)| *provider == OrderProvider::Manual);
        references(transaction, by_hand.map(|(id, _)| *id).collect()).await?;
    }
    let state = Expr::col(audit_event::Column::StateAfter);
    let pattern = LikeExpr::new(containing(email)).escape('!');
    let naming = Condition::all().add(Expr::expr(Func::lower(state)).like(pattern));
    decisions(transaction, naming, |text| names(text, email)).await
}

/// Erases the reasons that staff wrote in those decisions about orders whose audit events meet a condition, and whose
/// state `is_chosen` accepts. The audit events of orders have no other text that a person wrote.
async fn decisions(
    transaction: &DatabaseTransaction,
    condition: Condition,
    is_chosen: impl Fn(&str) -> bool + Send,
) -> Result<(), DbErr> {
    let events = audit_event::Entity::find()
        .filter(audit_event::Column::TargetType.eq("orders"))
        .filter(condition)
        .filter(audit_event::Column::Action.eq(RESOLVED))
        .all(transaction)
        .await?;
    for event in events {
        let state = event.state_after.as_deref().filter(|state| is_chosen(state));
        let state = state.map(serde_json::from_str::<Value>);
        let Some(Ok(Value::Object(mut state))) = state else { continue };
        state.insert(DECISION_TEXT.to_owned(), ERASED_TEXT.into());
        audit_event::Entity::update_many()
            .col_expr(audit_event::Column::StateAfter, Expr::value(Value::Object(state).to_string()))
            .filter(audit_event::Column::Id.eq(event.id))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// Replaces each payment reference that staff typed with a random one. All tables get the same new reference, because
/// the amounts of an order are computed from the rows with the same reference.
async fn references(transaction: &DatabaseTransaction, orders: Vec<OrderId>) -> Result<(), DbErr> {
    let payments = payment_event::Entity::find()
        .filter(payment_event::Column::OrderId.is_in(orders))
        .filter(payment_event::Column::Kind.eq(PaymentEventKind::Captured))
        .all(transaction)
        .await?;
    for captured in payments {
        let (Some(order), Some(reference)) = (captured.order_id, captured.payment) else { continue };
        let erased = format!("erased:{}", Uuid::new_v4());
        let fact = fact_name(PaymentEventKind::Captured, &erased);
        payment_event::Entity::update_many()
            .col_expr(payment_event::Column::Fact, Expr::value(fact))
            .filter(payment_event::Column::Id.eq(captured.id))
            .exec(transaction)
            .await?;
        payment_event::Entity::update_many()
            .col_expr(payment_event::Column::Payment, Expr::value(erased.as_str()))
            .filter(payment_event::Column::OrderId.eq(order))
            .filter(payment_event::Column::Payment.eq(reference.as_str()))
            .exec(transaction)
            .await?;
        payment_refund::Entity::update_many()
            .col_expr(payment_refund::Column::Payment, Expr::value(erased.as_str()))
            .filter(payment_refund::Column::OrderId.eq(order))
            .filter(payment_refund::Column::Payment.eq(reference.as_str()))
            .exec(transaction)
            .await?;
        order::Entity::update_many()
            .col_expr(order::Column::PaymentReference, Expr::value(erased.as_str()))
            .filter(order::Column::Id.eq(order))
            .filter(order::Column::PaymentReference.eq(reference.as_str()))
            .exec(transaction)
            .await?;
    }
    Ok(())
}
