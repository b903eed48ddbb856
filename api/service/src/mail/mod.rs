//! Mails: their kinds, their content, and the outbox channel that sends them.
//!
//! No mail contains the name of a user. Otherwise a stranger could register with any address and a text as the name,
//! and the server would send this text there. Only mails to guardians contain the e-mail address of an account.

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

/// Maximum number of bytes in a line of a mail, without the line end. Mail servers must accept lines of this length
/// (RFC 5321, section 4.5.3.1.6).
const MAX_LINE_BYTES: usize = 998;
/// The time after which the outbox gives up a mail that has no link, or whose link does not expire.
const NOTICE_LIFETIME: TimeDelta = TimeDelta::days(7);

/// The kind of a mail. Each kind has a template for the subject and the text, and a template for the HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Asks a new user to prove that they receive mail at their address.
    VerifyEmail,
    /// Contains the link with which a user chooses a new password.
    ResetPassword,
    /// Asks a user to prove that they receive mail at their new address. It is sent to the new address.
    ChangeEmail,
    /// Says that somebody asked for another address for the account. It is sent to the old address.
    EmailChangeRequested,
    /// Says that the account has another address now. It is sent to the old address.
    EmailChanged,
    /// Says that the password was changed.
    PasswordChanged,
    /// Says that somebody tried to register with an address that has an account.
    AlreadyRegistered,
    /// Contains the link with which a user deletes the account.
    DeleteAccount,
    /// Says that the account was deleted.
    AccountDeleted,
    /// Asks a guardian to consent to the use of an account.
    GuardianConsent,
    /// Tells a guardian that the consent was given, with the link to revoke it.
    GuardianConsented,
    /// Says that the second factor of the account was switched on.
    SecondFactorOn,
    /// Says that the user switched off the second factor of the account.
    SecondFactorOff,
    /// Says that an admin removed the second factor of the account.
    SecondFactorReset,
    /// Says that somebody used a recovery code of the account.
    RecoveryCodeUsed,
    /// Says that the account has new recovery codes.
    RecoveryCodesReplaced,
    /// Says that an identity at an issuer was linked to the account, with which the user can sign in.
    IdentityLinked,
    /// Tells a buyer that money of an order goes back, although nobody asked for a refund.
    PaymentReturned,
    /// Tells support that an order needs attention, or that a bank opened a dispute about the payment of an order.
    OrderNeedsAttention,
}

impl MailKind {
    /// All kinds of mails.
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

    /// Returns the name of the kind. The outbox stores this name, and the names of the kind's templates begin with it.
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

    /// Returns the path of the frontend's page to which the link of the mail leads. None if mails of this kind have no
    /// link.
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

    /// Returns whether a mail of this kind contains the e-mail address of the account that it is about.
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

/// The values that a mail contains besides its fixed text.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailFacts<'a> {
    /// The link of the mail. None if the mail has no link.
    pub link: Option<MailLink<'a>>,
    /// The e-mail address of the account that the mail is about. None if the owner of the account gets the mail.
    pub account: Option<&'a str>,
}

/// The address and the values of a mail, as the outbox stores them.
#[derive(Deserialize, Serialize)]
struct MailContent {
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The e-mail address of the account that the mail is about. None if the owner of the account gets the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// The receipt number of the order that the mail is about. None if it is not about an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// Makes the encrypted outbox message of a mail. The outbox gives the message up when the link of the mail expires, or
/// after 7 days if no link expires.
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

/// Makes the encrypted outbox message of a mail about an order. The mail contains the receipt number.
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
        .map_err(|error| Fault::Inconsistent(format!("a mail cannot be written as JSON: {error}")))?;
    NewMessage::seal(secrets, (OutboxChannel::Mail, kind.name()), &payload, now, expires_at)
}

/// The options for sending mails.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The way in which mails leave the server.
    pub transport: MailTransport,
    /// The sender of all mails.
    pub from: Mailbox,
    /// The URL of the frontend, without a slash at its end.
    pub frontend_url: String,
    /// The folder with the operator's own templates. None if the operator uses only the built-in templates.
    pub templates: Option<std::path::PathBuf>,
}

/// The outbox channel that renders and sends mails.
#[derive(Debug)]
pub struct Mailer {
    transport: MailTransport,
    from: Mailbox,
    frontend_url: String,
    templates: Templates,
}

impl Mailer {
    /// Reads the templates and renders each of them once, so that a wrong template is found when the server starts.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn new(options: MailOptions) -> Result<Self, TemplateError> {
        let templates = Templates::load(options.templates.as_deref())?;
        let MailOptions { transport, from, frontend_url, .. } = options;
        Ok(Self { transport, from, frontend_url, templates })
    }

    /// Renders a mail from an outbox message.
    fn message(&self, delivery: &Delivery) -> Result<Message, DeliveryFailure> {
        let kind = MailKind::ALL.into_iter().find(|kind| kind.name() == delivery.kind);
        let kind =
            kind.ok_or_else(|| DeliveryFailure::passing("this version does not know this kind of mail"))?;
        let content: MailContent = serde_json::from_str(&delivery.payload)
            .map_err(|_| DeliveryFailure::lasting("the content of the mail cannot be read"))?;
        let to: Address =
            content.to.parse().map_err(|_| DeliveryFailure::lasting("the mail address is malformed"))?;
        let link = kind.page().zip(content.token.as_deref());
        // The token comes after `#`, so that no server gets it: neither in its access log nor in a `Referer` header.
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
        // The message of a template error can contain the link, so only the kind of the error is reported.
        let MailText { subject, text, html } = rendered
            .map_err(|error| DeliveryFailure::passing(format!("the template fails: {}", error.kind())))?;
        let id = format!("<{}@{}>", delivery.message_id, self.from.email.domain());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(delivery.created_at.into())
            .message_id(Some(id))
            // This header asks mail programs to send no automatic reply, such as an absence note.
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

/// Makes a part of a mail. ASCII text without long lines is sent unencoded. The default encoding would break links at
/// 76 characters, and make the files in a folder of mails hard to read.
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

/// Returns the number of whole hours between two times, at least 1. Both times are Unix timestamps in seconds.
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
