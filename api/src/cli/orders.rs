//! The command `jishu orders`: lists orders, or shows one order with the events of its payments and refunds.

use clap::{Args, Subcommand, ValueEnum};
use jishu_entity::order::OrderState;

use super::{CommandResult, print_entries, with_current_database};
use crate::config::DatabaseConfig;
use jishu_service::order::{self, OrderEntry, OrderEventEntry};

#[derive(Args, Debug)]
pub(super) struct OrdersArgs {
    #[command(subcommand)]
    command: OrdersCommand,
}

#[derive(Debug, Subcommand)]
enum OrdersCommand {
    /// List orders, newest first: by default those that are pending, paid, refunding or in need of attention.
    List {
        /// The states to list. Can be given several times.
        #[arg(long, value_enum)]
        state: Vec<OrderStateArg>,
        /// Maximum number of orders to list.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Show an order, and the events of its payments and refunds.
    Show {
        /// The id of the order, or the number of its receipt.
        order: String,
        /// Print one JSON object per line: the order, then its events.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderStateArg {
    Pending,
    Paid,
    Granted,
    Expired,
    Cancelled,
    Refunding,
    Refunded,
    NeedsAttention,
}

impl From<OrderStateArg> for OrderState {
    fn from(state: OrderStateArg) -> Self {
        match state {
            OrderStateArg::Pending => Self::Pending,
            OrderStateArg::Paid => Self::Paid,
            OrderStateArg::Granted => Self::Granted,
            OrderStateArg::Expired => Self::Expired,
            OrderStateArg::Cancelled => Self::Cancelled,
            OrderStateArg::Refunding => Self::Refunding,
            OrderStateArg::Refunded => Self::Refunded,
            OrderStateArg::NeedsAttention => Self::NeedsAttention,
        }
    }
}

pub(super) async fn run(args: OrdersArgs) -> CommandResult {
    match args.command {
        OrdersCommand::List { state, limit, json, database } => {
            let states: Vec<OrderState> = state.into_iter().map(OrderState::from).collect();
            with_current_database(&database, async |database| {
                print_entries(&order::operator_list(database, &states, limit).await?, json, print_entry)
            })
            .await
        }
        OrdersCommand::Show { order, json, database } => {
            with_current_database(&database, async |database| {
                let Some((entry, events)) = order::operator_show(database, &order).await? else {
                    return Err(format!("there is no order {order}. `jishu orders list` lists orders").into());
                };
                print_entries(&[entry], json, print_entry)?;
                print_entries(&events, json, print_event)
            })
            .await
        }
    }
}

fn print_entry(entry: &OrderEntry) {
    let OrderEntry { id, receipt_number, user_id, state, provider, amount, created_at, .. } = entry;
    let created_at = created_at.format("%Y-%m-%d %H:%M:%S");
    let reason = entry.reason.as_deref().map(|reason| format!("  {reason}")).unwrap_or_default();
    let disputed = if entry.is_disputed { "  disputed" } else { "" };
    println!(
        "{id:>8}  {receipt_number}  {created_at}  {state:<15}  {amount:>14}  {provider}  user {user_id}{reason}{disputed}"
    );
}

fn print_event(event: &OrderEventEntry) {
    let OrderEventEntry { kind, amount, payment, object, source, recorded_at } = event;
    let recorded_at = recorded_at.format("%Y-%m-%d %H:%M:%S");
    let amount = amount.as_deref().unwrap_or_default();
    let ids: Vec<&str> = [payment, object].into_iter().filter_map(|id| id.as_deref()).collect();
    println!("          {recorded_at}  {kind:<17}  {amount:>14}  {source:<10}  {}", ids.join("  "));
}
