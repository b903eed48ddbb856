//! Exports the account itself: the profile, the guardian's consent, the cart, allowances, sign-in sessions, mails, and
//! audit events.

use jishu_entity::{
    account_link, allowance, audit_event, cart_item, guardian_consent, outbox_message, refresh_token,
    sign_in_network, user,
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use super::pages::Pages;
use super::writer::{Stop, Writer};
use super::{ROWS_PER_READ, UserExport, time, time_or_null};

impl UserExport {
    pub(super) async fn write_account(&self, row: &user::Model, writer: &mut Writer) -> Result<(), Stop> {
        let profile = json!({
            "id": row.id.0,
            "name": row.name,
            "email": row.email,
            "emailVerifiedAt": time_or_null(row.email_verified_at),
            "birthYear": row.birth_year,
            "role": row.role.to_value(),
            "status": row.status.to_value(),
            "registeredAt": time(row.created_at),
        });
        writer.field("profile", &profile).await?;
        let reader = self.source.database.reader();
        let consent = guardian_consent::Entity::find()
            .filter(guardian_consent::Column::UserId.eq(self.user))
            .one(reader)
            .await?;
        let consent = consent.map(|row| {
            json!({
                "guardianEmail": row.guardian_email,
                "requestedAt": time(row.requested_at),
                "consentedAt": time_or_null(row.consented_at),
                "revokedAt": time_or_null(row.revoked_at),
            })
        });
        writer.field("guardianConsent", &consent.into()).await?;
        let cart = cart_item::Entity::of(self.user).all(reader).await?;
        let item = |row: cart_item::Model| {
            json!({
                "subject": self.names.subject(row.subject_id),
                "price": row.price,
                "addedAt": time(row.added_at),
            })
        };
        writer.list("cart", cart.into_iter().map(item)).await?;
        let allowances = allowance::Entity::find().filter(allowance::Column::UserId.eq(self.user));
        let item = |row: allowance::Model| {
            json!({
                "course": row.course_id.map(|id| self.names.course(id)),
                "subject": row.subject_id.map(|id| self.names.subject(id)),
                "extraSeconds": row.extra_seconds,
                "maxAttempts": row.max_attempts,
                "reason": row.reason,
                "grantedAt": time(row.granted_at),
            })
        };
        writer.list("allowances", allowances.all(reader).await?.into_iter().map(item)).await?;
        self.write_sessions(writer).await?;
        self.write_mails(writer).await?;
        self.write_events(writer).await
    }

    async fn write_sessions(&self, writer: &mut Writer) -> Result<(), Stop> {
        let reader = self.source.database.reader();
        let networks = sign_in_network::Entity::find().filter(sign_in_network::Column::UserId.eq(self.user));
        let item = |row: sign_in_network::Model| json!({ "lastSeenAt": time(row.seen_at) });
        writer.list("signInNetworks", networks.all(reader).await?.into_iter().map(item)).await?;
        writer.begin_list("signInSessions");
        let mut pages = Pages::new(
            refresh_token::Entity::find().filter(refresh_token::Column::UserId.eq(self.user)),
            refresh_token::Column::Id,
            |row| row.id.0,
            ROWS_PER_READ,
        );
        while let Some(rows) = pages.next(reader).await? {
            for row in rows {
                let item = json!({
                    "session": row.family_id,
                    "beganAt": time_or_null(row.session_began_at),
                    "program": row.program,
                    "network": row.network,
                    "issuedAt": time(row.created_at),
                    "expiresAt": time(row.expires_at),
                    "usedAt": time_or_null(row.used_at),
                    "revokedAt": time_or_null(row.revoked_at),
                });
                writer.item(&item).await?;
            }
        }
        writer.end_list();
        Ok(())
    }

    async fn write_mails(&self, writer: &mut Writer) -> Result<(), Stop> {
        let reader = self.source.database.reader();
        let links = account_link::Entity::find().filter(account_link::Column::UserId.eq(self.user));
        let item = |row: account_link::Model| {
            json!({
                "purpose": row.purpose.to_value(),
                "sentTo": row.email,
                "createdAt": time(row.created_at),
                "expiresAt": time(row.expires_at),
                "usedAt": time_or_null(row.used_at),
            })
        };
        writer.list("links", links.all(reader).await?.into_iter().map(item)).await?;
        writer.begin_list("messages");
        let mut pages = Pages::new(
            outbox_message::Entity::find().filter(outbox_message::Column::UserId.eq(self.user)),
            outbox_message::Column::Id,
            |row| row.id.0,
            ROWS_PER_READ,
        );
        while let Some(rows) = pages.next(reader).await? {
            for row in rows {
                let item = json!({
                    "id": row.message_id,
                    "channel": row.channel.to_value(),
                    "kind": row.kind,
                    "state": row.state.to_value(),
                    "createdAt": time(row.created_at),
                    "expiresAt": time(row.expires_at),
                    "sentAt": time_or_null(row.sent_at),
                });
                writer.item(&item).await?;
            }
        }
        writer.end_list();
        Ok(())
    }

    /// Writes two lists of audit events. `accountEvents` has the events about the account, and `activity` has the
    /// events of actions by its owner. An event does not name its actor. It only says whether the owner was the actor.
    async fn write_events(&self, writer: &mut Writer) -> Result<(), Stop> {
        let of_account = audit_event::Entity::find()
            .filter(audit_event::Column::TargetType.eq("users"))
            .filter(audit_event::Column::TargetId.eq(self.user.0));
        let by_owner = audit_event::Entity::find().filter(audit_event::Column::ActorId.eq(self.user));
        let state = |text: Option<String>| -> Value {
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
        };
        for (name, is_of_account, select) in
            [("accountEvents", true, of_account), ("activity", false, by_owner)]
        {
            writer.begin_list(name);
            let mut pages = Pages::new(select, audit_event::Column::Id, |row| row.id.0, ROWS_PER_READ);
            while let Some(rows) = pages.next(self.source.database.reader()).await? {
                for row in rows {
                    let mut item = json!({
                        "at": time(row.at),
                        "action": row.action,
                        "byYou": row.actor_id == Some(self.user),
                        "targetType": row.target_type,
                        "targetId": row.target_id,
                    });
                    if is_of_account {
                        item["before"] = state(row.state_before);
                        item["after"] = state(row.state_after);
                    }
                    writer.item(&item).await?;
                }
            }
            writer.end_list();
        }
        Ok(())
    }
}
