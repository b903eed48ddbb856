//! The ways in which a mail leaves the server: over SMTP, into a folder, or into the log.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use url::{Host, Url};

use crate::outbox::{Delivery, DeliveryFailure};

/// The default ports of a mail server: 587 for a connection that begins without TLS, and 465 for a connection that
/// begins with TLS (RFC 8314, section 3.3).
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// The way in which mails leave the server.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// Mails are sent to a mail server over SMTP.
    Smtp(SmtpServer),
    /// Mails are written into this folder, one file for each mail.
    Folder(PathBuf),
    /// Mails are not sent. The log says that there was a mail, but contains neither its address nor its link.
    Log,
}

/// A reason why the URL of a mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The URL is not well-formed.
    #[error(
        "give the mail server as smtp://USER:PASSWORD@HOST:PORT (STARTTLS) or smtps://USER:PASSWORD@HOST:PORT (TLS), \
         with `%40` for an `@` in the user or the password"
    )]
    Url,
    /// The value of `tls` in the URL is unknown, or does not fit the scheme.
    #[error(
        "`tls` in the URL of the mail server must be `required`, `opportunistic` or `none`. With smtps://, only \
         `required` is allowed"
    )]
    TlsMode,
    /// The password would be sent without encryption.
    #[error(
        "the password would go to the mail server without encryption. Leave out `tls`, or set it to `required`"
    )]
    ClearPassword,
    /// The certificates cannot be read.
    #[error("the certificates in {} cannot be read: {error}. Give a PEM file", .path.display())]
    Certificates {
        /// The file with the certificates.
        path: PathBuf,
        /// The reason why the file cannot be read.
        error: String,
    },
    /// The TLS library refuses the host or the certificates.
    #[error("TLS for the mail server cannot be set up: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
}

/// The connection to a mail server.
#[derive(Clone)]
pub struct SmtpServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The host and the port, for debug output.
    name: String,
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SmtpServer").field(&self.name).finish()
    }
}

impl SmtpServer {
    /// Reads the URL of a mail server. `smtps://` begins with TLS. `smtp://` begins without encryption and requires
    /// STARTTLS, except with `?tls=opportunistic` or `?tls=none`. A server on this machine needs no TLS. The given
    /// certificates are trusted besides the public certificates.
    ///
    /// # Errors
    /// See [`SmtpError`].
    pub fn new(text: &str, certificates: Option<&Path>, timeout: Duration) -> Result<Self, SmtpError> {
        let url = Url::parse(text).map_err(|_| SmtpError::Url)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpError::Url)?;
        let is_wrapped = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(SmtpError::Url),
        };
        let mode = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, mode)| mode.into_owned());
        let parameters = || tls_parameters(host, certificates);
        let tls = match (is_wrapped, mode.as_deref()) {
            (true, None | Some("required")) => Tls::Wrapper(parameters()?),
            (false, None) if is_loopback(host) => Tls::Opportunistic(parameters()?),
            (false, None | Some("required")) => Tls::Required(parameters()?),
            (false, Some("opportunistic")) => Tls::Opportunistic(parameters()?),
            (false, Some("none")) => Tls::None,
            _ => return Err(SmtpError::TlsMode),
        };
        let has_user = !url.username().is_empty();
        let may_be_clear = matches!(tls, Tls::None | Tls::Opportunistic(_));
        if has_user && may_be_clear && !is_loopback(host) {
            return Err(SmtpError::ClearPassword);
        }
        let port = url.port().unwrap_or(if is_wrapped { SUBMISSIONS_PORT } else { SUBMISSION_PORT });
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(timeout));
        if has_user {
            let decoded = |text: &str| {
                let text = format!("x={}", text.replace('+', "%2B"));
                url::form_urlencoded::parse(text.as_bytes()).next().map(|(_, value)| value.into_owned())
            };
            let user = decoded(url.username()).unwrap_or_default();
            let password = decoded(url.password().unwrap_or_default()).unwrap_or_default();
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { transport: builder.build(), name: format!("{host}:{port}") })
    }
}

fn tls_parameters(host: &str, certificates: Option<&Path>) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = certificates {
        let unreadable = |error: String| SmtpError::Certificates { path: path.to_owned(), error };
        let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificates = Certificate::from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        builder = builder.add_root_certificate(certificates);
    }
    Ok(builder.build_rustls()?)
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => false,
    }
}

impl MailTransport {
    /// Hands a mail to the mail server, writes it into the folder, or logs that it was not sent.
    pub(super) async fn send(&self, delivery: &Delivery, message: Message) -> Result<(), DeliveryFailure> {
        match self {
            Self::Smtp(server) => match server.transport.send(message).await {
                Ok(_response) => Ok(()),
                Err(error) => Err(failure_of(&error)),
            },
            Self::Folder(folder) => {
                write_file(folder, &delivery.message_id, &message.formatted()).await.map_err(|error| {
                    DeliveryFailure::passing(format!("the mail cannot be written to its folder: {error}"))
                })
            }
            Self::Log => {
                let (kind, id) = (&delivery.kind, &delivery.message_id);
                tracing::info!(kind, id, "a mail was not sent, because no mail server is configured");
                Ok(())
            }
        }
    }
}

/// Converts an error of the mail server to a failure. Leaves out the text of the server's response, which can contain
/// the address. A permanent refusal is final, except a refusal of the credentials or of the encryption.
fn failure_of(error: &lettre::transport::smtp::Error) -> DeliveryFailure {
    let Some(code) = error.status() else {
        let kind = if error.is_timeout() {
            "the mail server did not respond in time".to_owned()
        } else if error.is_client() {
            "the mail server lacks an extension that this mail needs, such as STARTTLS or AUTH".to_owned()
        } else if error.is_response() {
            "the mail server sent a response that is not SMTP".to_owned()
        } else {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("the mail server cannot be reached: {cause}")
        };
        return DeliveryFailure::passing(kind);
    };
    let code = code.to_string();
    // The codes from 530 to 539 are about the credentials or the encryption of the connection, which the operator can
    // correct.
    let is_final = error.is_permanent() && !code.starts_with("53");
    DeliveryFailure { reason: format!("the mail server refused the mail with code {code}"), is_final }
}

/// Writes the file of a mail. The file gets its final name only when it is complete, so that nobody reads an incomplete
/// file. A repeated delivery replaces the file.
async fn write_file(folder: &Path, message_id: &str, text: &[u8]) -> io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let (unfinished, file) =
        (folder.join(format!(".{message_id}.part")), folder.join(format!("{message_id}.eml")));
    tokio::fs::create_dir_all(folder).await?;
    let mut written = options.open(&unfinished).await?;
    tokio::io::AsyncWriteExt::write_all(&mut written, text).await?;
    tokio::io::AsyncWriteExt::flush(&mut written).await?;
    written.sync_all().await?;
    tokio::fs::rename(unfinished, file).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<SmtpServer, SmtpError> {
        SmtpServer::new(url, None, Duration::from_secs(1))
    }

    #[test]
    fn urls_of_mail_servers() {
        for url in [
            "smtp://mail.example.com",
            "smtp://asha%40example.com:p%2Bw+d@mail.example.com:2525",
            "smtps://user:password@mail.example.com",
            "smtp://127.0.0.1:2525",
            "smtp://user:password@[::1]:2525?tls=none",
            "smtp://relay.internal:25?tls=none",
        ] {
            assert!(server(url).is_ok(), "{url}");
        }
        assert_eq!(server("smtps://mail.example.com").unwrap().name, "mail.example.com:465");
        assert_eq!(server("smtp://mail.example.com").unwrap().name, "mail.example.com:587");
        for url in ["", "mail.example.com", "http://mail.example.com", "smtp://", "smtps://a?tls=none"] {
            assert!(matches!(server(url), Err(SmtpError::Url | SmtpError::TlsMode)), "{url}");
        }
        for url in ["smtp://user:password@mail.example.com?tls=none", "smtp://user@a.b?tls=opportunistic"] {
            assert!(matches!(server(url), Err(SmtpError::ClearPassword)), "{url}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!("{:?}", server("smtp://user:secret-word@mail.example.com").unwrap());
        assert!(!text.contains("secret-word"), "{text}");
    }
}
