//! Mails: their kinds, and the channel of the outbox that delivers them.
//!
//! A mail names nobody: a stranger chooses the name of an account, and could send a text of their own to any address. Only
//! guardians read the address of the account that they are asked about.

mod templates;
mod transport;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::outbox_message::OutboxChannel;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use serde::{Deserialize, Serialize};

pub use templates::TemplateError;
pub use transport::{MailTransport, SmtpError, SmtpServer};

use crate::auth::Secrets;
use crate::error::Fault;
use crate::outbox::{Channel, Delivery, DeliveryFailure, NewMessage};
use templates::{MailText, TemplateFacts, Templates};

/// The longest line of a mail that a mail server must accept (RFC 5321, section 4.5.3.1.6, without its end).
const MAX_LINE_BYTES: usize = 998;
/// The time for which a mail without a link is delivered.
const NOTICE_LIFETIME: TimeDelta = TimeDelta::days(7);

/// The kind of a mail. Each has a template for its subject and text, and one for its HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Asks a new user to prove that they receive mail at their address.
    VerifyEmail,
    /// Leads to the choice of a new password.
    ResetPassword,
    /// Asks a user to prove that they receive mail at their new address. Goes to the new address.
    ChangeEmail,
    /// Says that another address was asked for. Goes to the old address.
    EmailChangeRequested,
    /// Says that the account has another address now. Goes to the old address.
    EmailChanged,
    /// Says that the password was changed.
    PasswordChanged,
    /// Says that somebody tried to register with an address that has an account.
    AlreadyRegistered,
    /// Leads to the deletion of the account.
    DeleteAccount,
    /// Says that the account was deleted.
    AccountDeleted,
    /// Asks a guardian to consent.
    GuardianConsent,
    /// Says to a guardian that the consent is in force, and how to revoke it.
    GuardianConsented,
    /// Says that the account has a second factor now.
    SecondFactorOn,
    /// Says that the second factor was switched off.
    SecondFactorOff,
    /// Says that an admin removed the second factor.
    SecondFactorReset,
    /// Says that a recovery code was used.
    RecoveryCodeUsed,
    /// Says that there are new recovery codes.
    RecoveryCodesReplaced,
    /// Says that another way to sign in was linked to the account.
    IdentityLinked,
    /// Says that a payment goes back, because it could not be turned into test cards.
    PaymentReturned,
    /// Tells support that an order needs attention.
    OrderNeedsAttention,
}

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 19] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::ChangeEmail,
        Self::EmailChangeRequested,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::AlreadyRegistered,
        Self::DeleteAccount,
        Self::AccountDeleted,
        Self::GuardianConsent,
        Self::GuardianConsented,
        Self::SecondFactorOn,
        Self::SecondFactorOff,
        Self::SecondFactorReset,
        Self::RecoveryCodeUsed,
        Self::RecoveryCodesReplaced,
        Self::IdentityLinked,
        Self::PaymentReturned,
        Self::OrderNeedsAttention,
    ];

    /// Returns the name of the kind, in the outbox and in the names of its templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::AlreadyRegistered => "already_registered",
            Self::DeleteAccount => "delete_account",
            Self::AccountDeleted => "account_deleted",
            Self::GuardianConsent => "guardian_consent",
            Self::GuardianConsented => "guardian_consented",
            Self::SecondFactorOn => "second_factor_on",
            Self::SecondFactorOff => "second_factor_off",
            Self::SecondFactorReset => "second_factor_reset",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::IdentityLinked => "identity_linked",
            Self::PaymentReturned => "payment_returned",
            Self::OrderNeedsAttention => "order_needs_attention",
        }
    }

    /// Returns the path of the frontend's page that its link leads to. None if a mail of this kind has no link.
    fn page(self) -> Option<&'static str> {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => Some("/verify-email"),
            Self::ResetPassword => Some("/reset-password"),
            Self::DeleteAccount => Some("/delete-account"),
            Self::GuardianConsent => Some("/guardian-consent"),
            Self::GuardianConsented => Some("/guardian-revoke"),
            Self::EmailChangeRequested
            | Self::EmailChanged
            | Self::PasswordChanged
            | Self::AlreadyRegistered
            | Self::AccountDeleted
            | Self::SecondFactorOn
            | Self::SecondFactorOff
            | Self::SecondFactorReset
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesReplaced
            | Self::IdentityLinked
            | Self::PaymentReturned
            | Self::OrderNeedsAttention => None,
        }
    }

    /// Tells whether a mail of this kind names the account that it is about.
    fn names_account(self) -> bool {
        matches!(self, Self::GuardianConsent | Self::GuardianConsented)
    }
}

/// The link of a mail.
#[derive(Clone, Copy, Debug)]
pub struct MailLink<'a> {
    /// The secret in the link.
    pub token: &'a str,
    /// The time when the link stops working. None if it works until it is used.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The facts that a mail has besides its fixed text.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailFacts<'a> {
    /// The link.
    pub link: Option<MailLink<'a>>,
    /// The e-mail address of the account that the mail is about, if another person gets it.
    pub account: Option<&'a str>,
}

/// The content of a mail, as the outbox stores it.
#[derive(Deserialize, Serialize)]
struct MailContent {
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The account that the mail is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// The number of the receipt of an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// Makes a mail that is about to be written to the outbox.
///
/// # Errors
/// Fails if the cryptography library fails.
pub fn compose(
    secrets: &Secrets,
    kind: MailKind,
    to: &str,
    MailFacts { link, account }: MailFacts<'_>,
    now: DateTime<Utc>,
) -> Result<NewMessage, Fault> {
    let content = MailContent {
        to: to.to_owned(),
        token: link.map(|link| link.token.to_owned()),
        expires_at: link.and_then(|link| link.expires_at).map(|at| at.timestamp()),
        account: account.map(str::to_owned),
        receipt: None,
    };
    let expires_at = link.and_then(|link| link.expires_at).unwrap_or(now + NOTICE_LIFETIME);
    seal(secrets, kind, &content, now, expires_at)
}

/// Makes a mail about an order, which names the number of its receipt.
///
/// # Errors
/// Fails if the cryptography library fails.
pub(crate) fn compose_about(
    secrets: &Secrets,
    kind: MailKind,
    to: &str,
    receipt: &str,
    now: DateTime<Utc>,
) -> Result<NewMessage, Fault> {
    let receipt = Some(receipt.to_owned());
    let content = MailContent { to: to.to_owned(), token: None, expires_at: None, account: None, receipt };
    seal(secrets, kind, &content, now, now + NOTICE_LIFETIME)
}

fn seal(
    secrets: &Secrets,
    kind: MailKind,
    content: &MailContent,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<NewMessage, Fault> {
    let payload = serde_json::to_string(content)
        .map_err(|error| Fault::Inconsistent(format!("a mail cannot be stored: {error}")))?;
    NewMessage::seal(secrets, (OutboxChannel::Mail, kind.name()), &payload, now, expires_at)
}

/// The options of mails.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The way in which mails leave the server.
    pub transport: MailTransport,
    /// The sender.
    pub from: Mailbox,
    /// The URL of the frontend, without a slash at its end.
    pub frontend_url: String,
    /// The folder with the operator's own templates.
    pub templates: Option<std::path::PathBuf>,
}

/// Renders mails and sends them: the channel of the outbox for mails.
#[derive(Debug)]
pub struct Mailer {
    transport: MailTransport,
    from: Mailbox,
    frontend_url: String,
    templates: Templates,
}

impl Mailer {
    /// Reads the templates and renders each of them once, so that a wrong one is found at start.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn new(options: MailOptions) -> Result<Self, TemplateError> {
        let templates = Templates::load(options.templates.as_deref())?;
        let MailOptions { transport, from, frontend_url, .. } = options;
        Ok(Self { transport, from, frontend_url, templates })
    }

    /// Renders a mail.
    fn message(&self, delivery: &Delivery) -> Result<Message, DeliveryFailure> {
        let kind = MailKind::ALL.into_iter().find(|kind| kind.name() == delivery.kind);
        let kind =
            kind.ok_or_else(|| DeliveryFailure::passing("this version does not know this kind of mail"))?;
        let content: MailContent = serde_json::from_str(&delivery.payload)
            .map_err(|_| DeliveryFailure::lasting("the content of the mail cannot be read"))?;
        let to: Address =
            content.to.parse().map_err(|_| DeliveryFailure::lasting("the address is not well-formed"))?;
        let link = kind.page().zip(content.token.as_deref());
        // After `#`, so that no server sees the token: neither in its access log nor in a `Referer` header.
        let link = link.map(|(page, token)| format!("{}{page}#token={token}", self.frontend_url));
        let hours = content.expires_at.map(|at| hours_between(delivery.created_at.timestamp(), at));
        let facts = TemplateFacts {
            link: link.as_deref(),
            token: content.token.as_deref(),
            hours,
            account: content.account.as_deref(),
            receipt: content.receipt.as_deref(),
        };
        let rendered = self.templates.render(kind, facts);
        // The message of a template error can contain the link.
        let MailText { subject, text, html } = rendered
            .map_err(|error| DeliveryFailure::passing(format!("its template fails: {}", error.kind())))?;
        let id = format!("<{}@{}>", delivery.message_id, self.from.email.domain());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(delivery.created_at.into())
            .message_id(Some(id))
            // Asks mail programs not to answer with a note that somebody is away.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, text))
                    .singlepart(part(ContentType::TEXT_HTML, html)),
            )
            .map_err(|_| DeliveryFailure::lasting("the mail cannot be built"))
    }
}

/// Makes a part of a mail. Text in ASCII is sent as it is: the default would break links apart at 76 characters, and a
/// file in the folder of mails would be hard to read.
fn part(content_type: ContentType, text: String) -> SinglePart {
    let is_plain = text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE_BYTES);
    let body = if is_plain && !text.contains('\0') {
        let lines = text.lines().collect::<Vec<_>>().join("\r\n");
        Body::dangerous_pre_encoded(lines.into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    };
    SinglePart::builder().header(content_type).body(body)
}

/// Returns the number of whole hours between two times in seconds, at least 1.
fn hours_between(from: i64, to: i64) -> i64 {
    ((to - from) / 3_600).max(1)
}

#[async_trait]
impl Channel for Mailer {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryFailure> {
        let message = self.message(delivery)?;
        self.transport.send(delivery, message).await
    }
}

#[cfg(test)]
mod tests;
