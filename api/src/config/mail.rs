//! Configures how mails are made and sent.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use lettre::message::Mailbox;
use url::Url;

use super::switch;
use jishu_service::mail::{MailOptions, MailTransport, SmtpError, SmtpServer};

/// The mail server, the sender, the links and the templates.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mail")]
pub struct MailConfig {
    /// The mail server: smtp://USER:PASSWORD@HOST:PORT (STARTTLS, port 587 by default) or
    /// smtps://USER:PASSWORD@HOST:PORT (TLS, port 465 by default). STARTTLS is required unless the host is a loopback
    /// address, or the URL ends with ?tls=opportunistic or ?tls=none.
    #[arg(long, env = "JISHU_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// A PEM file with a certificate to trust for the mail server, in addition to the public certificates.
    #[arg(long, env = "JISHU_SMTP_CA", value_name = "FILE")]
    pub smtp_ca: Option<PathBuf>,

    /// A folder into which each mail is written as a file, instead of being sent. The files contain working links. If
    /// neither a mail server nor a folder is given, mails are not sent, and a log line without their content reports
    /// each mail.
    #[arg(long, env = "JISHU_MAIL_FOLDER", value_name = "FOLDER", conflicts_with = "smtp_url")]
    pub mail_folder: Option<PathBuf>,

    /// The sender of mails. Every node needs the same value.
    #[arg(long, env = "JISHU_MAIL_FROM", default_value = "jishu <no-reply@localhost>", value_name = "SENDER",
          value_parser = sender)]
    pub mail_from: Mailbox,

    /// The URL of the frontend. Links in mails lead to its pages /verify-email, /reset-password, /delete-account,
    /// /guardian-consent and /guardian-revoke, with the token after #token=.
    #[arg(long, env = "JISHU_FRONTEND_URL", default_value = "http://localhost:8080", value_name = "URL",
          value_parser = frontend)]
    pub frontend_url: String,

    /// A folder with templates, such as reset_password.txt and reset_password.html. Each replaces the built-in template
    /// of the same name.
    #[arg(long, env = "JISHU_MAIL_TEMPLATES", value_name = "FOLDER")]
    pub mail_templates: Option<PathBuf>,

    /// Seconds that the delivery of one mail may take. Then it is stopped and retried later. If a node dies during a
    /// delivery, another node retries the delivery after three times as long.
    #[arg(long, env = "JISHU_MAIL_SECONDS", default_value_t = 20, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=300))]
    pub mail_seconds: u64,

    /// Refuse sign-ins to accounts whose e-mail address is not verified. Then `register` does not sign in, and gives
    /// the same response for every address.
    #[arg(long, env = "JISHU_REQUIRE_VERIFIED_EMAIL", value_parser = switch(false))]
    pub require_verified_email: bool,
}

impl MailConfig {
    /// Returns how long the delivery of one mail may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.mail_seconds)
    }

    /// Returns the options for making and sending mails.
    ///
    /// # Errors
    /// Fails if the URL of the mail server or its certificate cannot be used.
    pub fn options(&self) -> Result<MailOptions, SmtpError> {
        let transport = match (&self.smtp_url, &self.mail_folder) {
            (Some(url), _) => {
                MailTransport::Smtp(SmtpServer::new(url, self.smtp_ca.as_deref(), self.timeout())?)
            }
            (None, Some(folder)) => MailTransport::Folder(folder.clone()),
            (None, None) => MailTransport::Log,
        };
        Ok(MailOptions {
            transport,
            from: self.mail_from.clone(),
            frontend_url: self.frontend_url.clone(),
            templates: self.mail_templates.clone(),
        })
    }
}

fn sender(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "give an address such as `Academy <no-reply@example.com>`".to_owned())
}

/// Reads the URL of the frontend, and returns it without a slash at its end.
pub(super) fn frontend(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    });
    let url = url.ok_or("give a URL such as https://app.example.com, without `?` and `#`")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontend_has_no_query_and_no_slash_at_its_end() {
        assert_eq!(frontend("https://app.example.com/").as_deref(), Ok("https://app.example.com"));
        assert_eq!(frontend("https://example.com/app").as_deref(), Ok("https://example.com/app"));
        for wrong in
            ["", "app.example.com", "ftp://example.com", "https://example.com/?a", "https://example.com/#a"]
        {
            assert!(frontend(wrong).is_err(), "{wrong}");
        }
    }
}
