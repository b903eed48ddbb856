//! The templates of mails. The operator can replace each built-in template by a file of the same name.

use std::io;
use std::path::{Path, PathBuf};

use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::MailKind;

/// The names and texts of the built-in templates. The text of each `.txt` template begins with the subject.
const BUILT_IN: [(&str, &str); 39] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("verify_email.txt", include_str!("templates/verify_email.txt")),
    ("verify_email.html", include_str!("templates/verify_email.html")),
    ("reset_password.txt", include_str!("templates/reset_password.txt")),
    ("reset_password.html", include_str!("templates/reset_password.html")),
    ("change_email.txt", include_str!("templates/change_email.txt")),
    ("change_email.html", include_str!("templates/change_email.html")),
    ("email_change_requested.txt", include_str!("templates/email_change_requested.txt")),
    ("email_change_requested.html", include_str!("templates/email_change_requested.html")),
    ("email_changed.txt", include_str!("templates/email_changed.txt")),
    ("email_changed.html", include_str!("templates/email_changed.html")),
    ("password_changed.txt", include_str!("templates/password_changed.txt")),
    ("password_changed.html", include_str!("templates/password_changed.html")),
    ("already_registered.txt", include_str!("templates/already_registered.txt")),
    ("already_registered.html", include_str!("templates/already_registered.html")),
    ("delete_account.txt", include_str!("templates/delete_account.txt")),
    ("delete_account.html", include_str!("templates/delete_account.html")),
    ("account_deleted.txt", include_str!("templates/account_deleted.txt")),
    ("account_deleted.html", include_str!("templates/account_deleted.html")),
    ("guardian_consent.txt", include_str!("templates/guardian_consent.txt")),
    ("guardian_consent.html", include_str!("templates/guardian_consent.html")),
    ("guardian_consented.txt", include_str!("templates/guardian_consented.txt")),
    ("guardian_consented.html", include_str!("templates/guardian_consented.html")),
    ("second_factor_on.txt", include_str!("templates/second_factor_on.txt")),
    ("second_factor_on.html", include_str!("templates/second_factor_on.html")),
    ("second_factor_off.txt", include_str!("templates/second_factor_off.txt")),
    ("second_factor_off.html", include_str!("templates/second_factor_off.html")),
    ("second_factor_reset.txt", include_str!("templates/second_factor_reset.txt")),
    ("second_factor_reset.html", include_str!("templates/second_factor_reset.html")),
    ("recovery_code_used.txt", include_str!("templates/recovery_code_used.txt")),
    ("recovery_code_used.html", include_str!("templates/recovery_code_used.html")),
    ("recovery_codes_replaced.txt", include_str!("templates/recovery_codes_replaced.txt")),
    ("recovery_codes_replaced.html", include_str!("templates/recovery_codes_replaced.html")),
    ("identity_linked.txt", include_str!("templates/identity_linked.txt")),
    ("identity_linked.html", include_str!("templates/identity_linked.html")),
    ("payment_returned.txt", include_str!("templates/payment_returned.txt")),
    ("payment_returned.html", include_str!("templates/payment_returned.html")),
    ("order_needs_attention.txt", include_str!("templates/order_needs_attention.txt")),
    ("order_needs_attention.html", include_str!("templates/order_needs_attention.html")),
];

/// The sample link with which each template is rendered once when the server starts.
const SAMPLE_LINK: &str = "https://sample.example/page#token=sample";

/// A reason why the templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder or a file in it cannot be read as text.
    #[error("the templates of mails cannot be read: {}: {error}. Correct --mail-templates", .path.display())]
    Unreadable {
        /// The folder or the file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The folder has a file whose name is not the name of a template.
    #[error("no mail uses the template {name}. Its name must be one of: {}", names())]
    Unknown {
        /// The name of the file.
        name: String,
    },
    /// A template has a syntax error, or cannot be rendered with sample values.
    #[error("the template {name} cannot be rendered: {error}. Correct the template")]
    Wrong {
        /// The name of the template, such as `reset_password.txt`.
        name: String,
        /// The error, with its line.
        error: minijinja::Error,
    },
    /// The `.txt` template of a mail does not begin with the subject.
    #[error("the template {name}.txt must begin with a line `Subject: …`, then an empty line, then the text")]
    NoSubject {
        /// The name of the kind of mail.
        name: &'static str,
    },
    /// A template of a mail that must have a link does not show the link.
    #[error("the template {name} does not show the link. Write {{{{ link }}}} where the link belongs")]
    NoLink {
        /// The name of the template, such as `reset_password.txt`.
        name: String,
    },
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// The values that a template can show.
#[derive(Clone, Copy, Default)]
pub(super) struct TemplateFacts<'a> {
    pub(super) link: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) hours: Option<i64>,
    /// The e-mail address of the account that the mail is about. None if the owner of the account gets the mail.
    pub(super) account: Option<&'a str>,
    /// The receipt number of the order that the mail is about. None if it is not about an order.
    pub(super) receipt: Option<&'a str>,
}

/// A rendered mail.
pub(super) struct MailText {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The templates of all mails.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// Reads the built-in templates and the operator's templates in `folder`, and renders each template once with
    /// sample values.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // A misspelt name in a template is an error, and does not become an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let wrong = |name: &str, error| TemplateError::Wrong { name: name.to_owned(), error };
        for (name, text) in BUILT_IN {
            environment.add_template(name, text).map_err(|error| wrong(name, error))?;
        }
        for (name, text) in folder.map(read_folder).transpose()?.unwrap_or_default() {
            if !BUILT_IN.iter().any(|(known, _)| *known == name) {
                return Err(TemplateError::Unknown { name });
            }
            let added = environment.add_template_owned(name.clone(), text);
            added.map_err(|error| wrong(&name, error))?;
        }
        let templates = Self { environment };
        for kind in MailKind::ALL {
            templates.check(kind)?;
        }
        Ok(templates)
    }

    /// Renders the templates of a kind with sample values, and checks that they show the link and begin with a subject.
    fn check(&self, kind: MailKind) -> Result<(), TemplateError> {
        let link = kind.page().map(|_| SAMPLE_LINK);
        let account = kind.names_account().then_some("sample@sample.example");
        let facts = TemplateFacts {
            link,
            token: link.map(|_| "sample"),
            hours: link.map(|_| 1),
            account,
            receipt: Some("261129-0123456789AB"),
        };
        let part = |extension: &str| -> Result<String, TemplateError> {
            let name = format!("{}.{extension}", kind.name());
            let rendered = self.part(&name, facts);
            let text = rendered.map_err(|error| TemplateError::Wrong { name: name.clone(), error })?;
            match link {
                Some(link) if !text.contains(link) => Err(TemplateError::NoLink { name }),
                _ => Ok(text),
            }
        };
        part("html")?;
        match split_subject(&part("txt")?) {
            Some(_) => Ok(()),
            None => Err(TemplateError::NoSubject { name: kind.name() }),
        }
    }

    /// Renders the subject, the text and the HTML of a mail.
    pub(super) fn render(
        &self,
        kind: MailKind,
        facts: TemplateFacts<'_>,
    ) -> Result<MailText, minijinja::Error> {
        let part = |extension| self.part(&format!("{}.{extension}", kind.name()), facts);
        let (text, html) = (part("txt")?, part("html")?);
        let Some((subject, text)) = split_subject(&text) else {
            return Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "no subject"));
        };
        Ok(MailText { subject: subject.to_owned(), text: text.to_owned(), html })
    }

    fn part(&self, name: &str, facts: TemplateFacts<'_>) -> Result<String, minijinja::Error> {
        let TemplateFacts { link, token, hours, account, receipt } = facts;
        // The link is not escaped in HTML, because a URL has no quotes and no angle brackets.
        let link = link.map(|link| Value::from_safe_string(link.to_owned()));
        self.environment.get_template(name)?.render(context! { link, token, hours, account, receipt })
    }
}

/// Returns the names and texts of all files in a folder.
fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, TemplateError> {
    let unreadable = |path: &Path, error| TemplateError::Unreadable { path: path.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, text));
    }
    Ok(files)
}

/// Separates the subject line from the text of a rendered `.txt` template. Returns None if there is no subject.
fn split_subject(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let subject = first.strip_prefix("Subject:")?.trim();
    let rest = rest.trim_start_matches('\r').strip_prefix('\n')?;
    (!subject.is_empty()).then_some((subject, rest))
}
