//! The proof that somebody has the second factor of an account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::second_factor::{self, Column};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use super::{recovery, sealing};
use crate::audit;
use crate::auth::{RecoveryCode, Secrets};
use crate::outbox::NewMessage;

const RECOVERY_CODE_USED: &str = "user.recovery_code_used";

/// The proof that a user has the second factor.
#[derive(Clone, PartialEq, Eq)]
pub enum SecondFactorProof {
    /// A code that the authenticator app shows.
    Code(String),
    /// A recovery code.
    RecoveryCode(String),
}

/// The check of a proof, which runs in a transaction.
#[derive(Clone)]
pub(super) struct ProofCheck {
    pub(super) proof: SecondFactorProof,
    pub(super) secrets: Arc<Secrets>,
    /// The mail that says that a recovery code was used.
    pub(super) recovery_notice: NewMessage,
    pub(super) now: DateTime<Utc>,
}

impl ProofCheck {
    /// Checks the proof of the second factor of `owner`. Returns true, and uses the proof up, if the proof is right
    /// and unused, and the second factor is on. The use of a recovery code also appends an audit event and a mail.
    /// The transaction must have locked the user's row.
    pub(super) async fn run(&self, transaction: &DatabaseTransaction, owner: UserId) -> Result<bool, DbErr> {
        match &self.proof {
            SecondFactorProof::Code(code) => self.take_code(transaction, owner, code).await,
            SecondFactorProof::RecoveryCode(code) => {
                let Some(code) = RecoveryCode::parse(code) else { return Ok(false) };
                if !second_factor::Entity::is_on(transaction, owner).await?
                    || !recovery::take(transaction, owner, &code, self.now).await?
                {
                    return Ok(false);
                }
                let target = ("users", owner.0);
                audit::append(transaction, self.now, Some(owner), RECOVERY_CODE_USED, target).await?;
                self.recovery_notice.append(transaction, Some(owner)).await?;
                Ok(true)
            }
        }
    }

    async fn take_code(
        &self,
        transaction: &DatabaseTransaction,
        owner: UserId,
        code: &str,
    ) -> Result<bool, DbErr> {
        let factor = second_factor::Entity::find_by_id(owner).one(transaction).await?;
        let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else { return Ok(false) };
        let Some(secret) = sealing::open(&self.secrets, &factor) else { return Ok(false) };
        let Some(step) = secret.step_of(code, self.now) else { return Ok(false) };
        let is_new = Condition::any().add(Column::LastStep.is_null()).add(Column::LastStep.lt(step));
        let taken = second_factor::Entity::update_many()
            .col_expr(Column::LastStep, Expr::value(step))
            .filter(Column::UserId.eq(owner))
            .filter(is_new)
            .exec(transaction)
            .await?;
        Ok(taken.rows_affected == 1)
    }
}
