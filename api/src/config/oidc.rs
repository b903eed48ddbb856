//! Configures the sign-in with OpenID Connect.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use url::Url;

use jishu_service::oidc::{OidcOptions, OidcProvider, OidcSetUpError};

/// The options of OpenID Connect: the issuer, and the client as which jishu is registered there.
#[derive(Args, Clone)]
#[command(next_help_heading = "Single sign-on")]
pub struct OidcConfig {
    /// The URL of the issuer of OpenID Connect with which people can sign in, exactly as the issuer names itself, such
    /// as https://id.example.com.
    #[arg(long, env = "JISHU_OIDC_ISSUER", value_name = "URL", requires_all = ["oidc_client_id", "oidc_redirect_uris"])]
    pub oidc_issuer: Option<String>,

    /// The client id of this platform at the issuer.
    #[arg(long, env = "JISHU_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,

    /// The client secret of this platform at the issuer. Without a secret, the platform is a public client.
    #[arg(long, env = "JISHU_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub oidc_client_secret: Option<String>,

    /// A file with the client secret, as an alternative to giving the secret itself.
    #[arg(
        long,
        env = "JISHU_OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "oidc_client_secret"
    )]
    pub oidc_client_secret_file: Option<PathBuf>,

    /// The scopes to ask for. `email` is needed to make accounts.
    #[arg(
        long,
        env = "JISHU_OIDC_SCOPES",
        value_delimiter = ',',
        default_value = "openid,email,profile",
        value_name = "SCOPES"
    )]
    pub oidc_scopes: Vec<String>,

    /// The addresses of the frontend to which the issuer may send people back, such as
    /// https://app.example.com/signed-in.
    #[arg(long, env = "JISHU_OIDC_REDIRECT_URIS", value_delimiter = ',', value_name = "URLS", value_parser = redirect_uri)]
    pub oidc_redirect_uris: Vec<String>,
}

/// The reason why the issuer of OpenID Connect cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OidcConfigError {
    /// The file with the client secret cannot be read.
    #[error("the file {} of --oidc-client-secret-file cannot be read: {error}", .path.display())]
    Secret {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The file with the client secret is blank.
    #[error("the file {} of --oidc-client-secret-file gives no secret: it is blank", .0.display())]
    BlankSecret(PathBuf),
    /// The URL of the issuer is wrong, or the HTTP client for the issuer cannot be built.
    #[error(transparent)]
    SetUp(#[from] OidcSetUpError),
}

impl std::fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcConfig").field("oidc_issuer", &self.oidc_issuer).finish_non_exhaustive()
    }
}

impl OidcConfig {
    /// Sets up the issuer of OpenID Connect. Returns None if no issuer is configured.
    ///
    /// # Errors
    /// See [`OidcConfigError`].
    pub fn provider(&self) -> Result<Option<Arc<OidcProvider>>, OidcConfigError> {
        let Some(issuer) = self.oidc_issuer.clone().filter(|issuer| !issuer.is_empty()) else {
            return Ok(None);
        };
        let client_secret = match &self.oidc_client_secret_file {
            Some(path) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|error| OidcConfigError::Secret { path: path.clone(), error })?;
                if secret.trim().is_empty() {
                    return Err(OidcConfigError::BlankSecret(path.clone()));
                }
                Some(secret)
            }
            None => self.oidc_client_secret.clone(),
        };
        let client_secret = client_secret.map(|secret| secret.trim().to_owned());
        let mut scopes = self.oidc_scopes.clone();
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let options = OidcOptions {
            issuer,
            client_id: self.oidc_client_id.clone().unwrap_or_default(),
            client_secret: client_secret.filter(|secret| !secret.is_empty()),
            scopes,
            redirect_uris: self.oidc_redirect_uris.clone(),
        };
        Ok(Some(Arc::new(OidcProvider::new(options)?)))
    }
}

fn redirect_uri(text: &str) -> Result<String, String> {
    let is_valid = Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    is_valid
        .then(|| text.to_owned())
        .ok_or_else(|| "give a URL such as https://app.example.com/signed-in, without `#`".to_owned())
}
