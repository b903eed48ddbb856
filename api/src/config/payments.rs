//! Configures the payment provider, and the time in which an order can be paid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, ValueEnum, value_parser};
use lettre::Address;
use payment_providers::{
    ConfigError, PaymentProvider, Razorpay, RazorpayConfig, SecretString, Stripe, StripeConfig, Url,
    read_secret_file,
};

use jishu_service::order::Payments;
use jishu_service::trace;

/// The way in which buyers pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PaymentMode {
    /// Buyers pay at Razorpay.
    Razorpay,
    /// Buyers pay at Stripe.
    Stripe,
    /// Buyers pay in cash or by transfers, and support confirms each payment.
    Manual,
}

/// The payment provider, its keys, and the time in which an order can be paid.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Payments")]
pub struct PaymentConfig {
    /// How buyers pay. Without this option, purchases are made at once, and the server does not handle payments. Every
    /// node needs the same value.
    #[arg(long, env = "JISHU_PAYMENTS", value_name = "PROVIDER")]
    pub payments: Option<PaymentMode>,

    /// The public key: rzp_live_… or rzp_test_… of Razorpay, pk_live_… or pk_test_… of Stripe. The browser of each
    /// buyer gets it.
    #[arg(long, env = "JISHU_PAYMENT_KEY", value_name = "KEY")]
    pub payment_key: Option<String>,

    /// The secret key: the key secret of Razorpay, or sk_… or rk_… of Stripe. Other programs can read the command line,
    /// so use the environment variable or --payment-secret-file.
    #[arg(long, env = "JISHU_PAYMENT_SECRET", value_name = "SECRET", hide_env_values = true, value_parser = secret)]
    pub payment_secret: Option<SecretString>,

    /// A file with the secret key of the provider.
    #[arg(long, env = "JISHU_PAYMENT_SECRET_FILE", value_name = "FILE", conflicts_with = "payment_secret")]
    pub payment_secret_file: Option<PathBuf>,

    /// The secret of webhooks. While it is rotated, give two, separated by a comma. Without a secret, webhooks are
    /// refused, and the server learns of payments only by asking the provider.
    #[arg(long, env = "JISHU_PAYMENT_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true,
          value_delimiter = ',', value_parser = secret)]
    pub payment_webhook_secret: Vec<SecretString>,

    /// A file with the secret of webhooks. Give two files, separated by a comma, while the secret is rotated.
    #[arg(
        long,
        env = "JISHU_PAYMENT_WEBHOOK_SECRET_FILE",
        value_name = "FILE",
        value_delimiter = ',',
        conflicts_with = "payment_webhook_secret"
    )]
    pub payment_webhook_secret_file: Vec<PathBuf>,

    /// The id of the account at the provider (acc_… or acct_…). With this id, webhooks of other accounts are refused.
    #[arg(long, env = "JISHU_PAYMENT_ACCOUNT", value_name = "ID")]
    pub payment_account: Option<String>,

    /// The URL of the provider's API. Tests set it to use another server than the provider's.
    #[arg(long, env = "JISHU_PAYMENT_URL", value_name = "URL")]
    pub payment_url: Option<Url>,

    /// Minutes that an order can be paid at its price: 5 to 20160, which is two weeks.
    #[arg(long, env = "JISHU_ORDER_MINUTES", default_value_t = 30, value_name = "MINUTES",
          value_parser = value_parser!(i64).range(5..=20_160))]
    pub order_minutes: i64,

    /// The e-mail address that gets a mail whenever an order needs attention, and whenever a bank opens a dispute about
    /// an order.
    #[arg(long, env = "JISHU_ORDER_ALERTS", value_name = "ADDRESS", value_parser = address)]
    pub order_alerts: Option<String>,
}

/// The reason why the payment provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum PaymentConfigError {
    /// A flag that the provider needs is missing.
    #[error("--payments {mode} needs {flag}")]
    Missing {
        /// The provider, as `--payments` names it.
        mode: &'static str,
        /// The missing flag, or two flags of which one is needed.
        flag: &'static str,
    },
    /// A key, a secret or an address of the configuration is wrong, or the file of a secret cannot be read.
    #[error("the payment provider cannot be set up: {0}")]
    Wrong(#[from] ConfigError),
}

impl PaymentConfig {
    /// Sets up the payment provider. Returns None if the server does not handle payments. Logs a warning if Razorpay
    /// or Stripe is the provider and no secret of webhooks is given.
    ///
    /// # Errors
    /// See [`PaymentConfigError`].
    pub fn payments(&self) -> Result<Option<Payments>, PaymentConfigError> {
        let lifetime = TimeDelta::minutes(self.order_minutes);
        let payments = match self.payments {
            None => return Ok(None),
            Some(PaymentMode::Manual) => Payments::manual(lifetime),
            Some(PaymentMode::Razorpay) => Payments::at(self.razorpay()?, lifetime),
            Some(PaymentMode::Stripe) => Payments::at(self.stripe()?, lifetime),
        };
        if self.payments != Some(PaymentMode::Manual)
            && self.payment_webhook_secret.is_empty()
            && self.payment_webhook_secret_file.is_empty()
        {
            tracing::warn!(
                "without a secret of webhooks, webhooks are refused, and the server learns of payments only by asking the provider"
            );
        }
        Ok(Some(payments.telling(self.order_alerts.clone())))
    }

    fn razorpay(&self) -> Result<Arc<dyn PaymentProvider>, PaymentConfigError> {
        let (key, secret) = self.keys("razorpay")?;
        let mut config = RazorpayConfig::new(key, secret)?;
        config.webhook_secrets = self.webhook_secrets()?;
        config.account_id = self.payment_account.clone();
        config.http.traceparent = trace::traceparent;
        if let Some(url) = &self.payment_url {
            config.base = url.clone();
        }
        Ok(Arc::new(Razorpay::new(config)?))
    }

    fn stripe(&self) -> Result<Arc<dyn PaymentProvider>, PaymentConfigError> {
        let (key, secret) = self.keys("stripe")?;
        let mut config = StripeConfig::new(key, secret)?;
        config.webhook_secrets = self.webhook_secrets()?;
        config.account_id = self.payment_account.clone();
        config.http.traceparent = trace::traceparent;
        if let Some(url) = &self.payment_url {
            config.base = url.clone();
        }
        Ok(Arc::new(Stripe::new(config)?))
    }

    fn keys(&self, mode: &'static str) -> Result<(String, SecretString), PaymentConfigError> {
        let missing = |flag| PaymentConfigError::Missing { mode, flag };
        let key = self.payment_key.clone().ok_or_else(|| missing("--payment-key"))?;
        let secret = match (&self.payment_secret, &self.payment_secret_file) {
            (Some(secret), _) => secret.clone(),
            (None, Some(file)) => read_secret_file(file)?,
            (None, None) => return Err(missing("--payment-secret or --payment-secret-file")),
        };
        Ok((key, secret))
    }

    fn webhook_secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        if self.payment_webhook_secret.is_empty() {
            let files = self.payment_webhook_secret_file.iter().map(PathBuf::as_path);
            return files.map(|file: &Path| read_secret_file(file)).collect();
        }
        Ok(self.payment_webhook_secret.clone())
    }
}

fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text.trim()))
}

fn address(text: &str) -> Result<String, String> {
    let address = text.parse::<Address>();
    address
        .map(|address| address.to_string())
        .map_err(|_| "give an address such as shop@example.com".to_owned())
}
