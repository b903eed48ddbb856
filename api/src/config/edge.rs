//! Configures the limits that protect the server from attackers and from overload, the trusted proxies and the allowed
//! origins.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use ipnet::IpNet;
use url::Url;

use super::switch;
use jishu_service::limit::LimitOptions;

/// Timeouts, limits on concurrency, budgets, trusted proxies and allowed origins.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits and network")]
pub struct EdgeConfig {
    /// Maximum number of open connections. Further connections wait in the system's queue until one closes.
    #[arg(long, env = "JISHU_MAX_CONNECTIONS", default_value_t = 4_096, value_name = "COUNT",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Maximum number of open connections from one address (a /64 network of IPv6). Further connections are closed.
    /// Trusted proxies have no limit. 0 means no limit.
    #[arg(long, env = "JISHU_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 1_024, value_name = "COUNT")]
    pub max_connections_per_address: u32,

    /// Maximum number of GraphQL requests that run at once. Further requests are refused with status 503.
    #[arg(long, env = "JISHU_MAX_REQUESTS", default_value_t = 512, value_name = "COUNT",
          value_parser = value_parser!(u32).range(1..=100_000))]
    pub max_requests: u32,

    /// Seconds that a client has to send the head of a request. Then its connection is closed.
    #[arg(long, env = "JISHU_HEAD_SECONDS", default_value_t = 10, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub head_seconds: u64,

    /// Seconds that a client has to send the body of a GraphQL request. Then the request is refused with status 408.
    #[arg(long, env = "JISHU_BODY_SECONDS", default_value_t = 15, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub body_seconds: u64,

    /// Seconds after which a connection without a request is closed, and a connection whose client receives nothing of
    /// a response. A response may take this time, and in addition one second for each 10 kB. Choose a longer time than
    /// the load balancer in front of the server keeps idle connections.
    #[arg(long, env = "JISHU_IDLE_SECONDS", default_value_t = 75, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub idle_seconds: u64,

    /// Seconds that a GraphQL request may take after its body has arrived. Then it fails with status 504. A database
    /// statement may take half of this time, but at most 15 seconds. Subscriptions have no such limit.
    #[arg(long, env = "JISHU_REQUEST_SECONDS", default_value_t = 30, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub request_seconds: u64,

    /// Maximum cost of the operations of one user per minute on this node. The cost of an operation is about the number
    /// of objects that it can return. 0 means no limit.
    #[arg(long, env = "JISHU_USER_COST_PER_MINUTE", default_value_t = 60_000, value_name = "COST")]
    pub user_cost_per_minute: u32,

    /// Maximum cost of anonymous operations from one address (a /64 network of IPv6) per minute on this node. 0 means
    /// no limit.
    #[arg(long, env = "JISHU_ADDRESS_COST_PER_MINUTE", default_value_t = 600_000, value_name = "COST")]
    pub address_cost_per_minute: u32,

    /// Maximum cost of the operations of all signed-in users from one address (a /64 network of IPv6) per minute on
    /// this node. A school or a mobile network may have many users behind one address. 0 means no limit.
    #[arg(
        long,
        env = "JISHU_ADDRESS_USERS_COST_PER_MINUTE",
        default_value_t = 6_000_000,
        value_name = "COST"
    )]
    pub address_users_cost_per_minute: u32,

    /// Maximum number of accounts created from one address (a /64 network of IPv6) per hour on this node. 0 means no
    /// limit.
    #[arg(long, env = "JISHU_REGISTRATIONS_PER_HOUR", default_value_t = 500, value_name = "COUNT")]
    pub registrations_per_hour: u32,

    /// Maximum number of attempts to sign in or to register from one address (a /64 network of IPv6) per minute on this
    /// node. A failed attempt counts as five attempts. 0 means no limit.
    #[arg(long, env = "JISHU_SIGN_INS_PER_MINUTE", default_value_t = 300, value_name = "COUNT")]
    pub sign_ins_per_minute: u32,

    /// Maximum number of failed attempts to sign in to one account per hour on this node, from all addresses together.
    /// Failed attempts from an address that has signed in to the account before are counted separately. 0 means no
    /// limit.
    #[arg(long, env = "JISHU_SIGN_IN_FAILURES_PER_HOUR", default_value_t = 20, value_name = "COUNT")]
    pub sign_in_failures_per_hour: u32,

    /// Maximum number of mails of each kind to one e-mail address per hour on this node: for new passwords, for requests
    /// of its signed-in user, for requests of others such as registrations, and reminders to verify the address. 0 means
    /// no limit.
    #[arg(long, env = "JISHU_MAILS_PER_RECEIVER_PER_HOUR", default_value_t = 6, value_name = "COUNT")]
    pub mails_per_receiver_per_hour: u32,

    /// Maximum number of requests that can cause a mail from one address (a /64 network of IPv6) per hour on this node.
    /// 0 means no limit.
    #[arg(long, env = "JISHU_MAIL_REQUESTS_PER_HOUR", default_value_t = 500, value_name = "COUNT")]
    pub mail_requests_per_hour: u32,

    /// The networks of proxies that are trusted to name the address of the client, such as 10.0.0.0/8,fd00::/8. Without
    /// trusted proxies, the address of a client is the address of its connection.
    #[arg(long, env = "JISHU_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS",
          value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// The header in which trusted proxies name the address of the client. Each trusted proxy must overwrite or extend
    /// the value of the header that it receives.
    #[arg(long, env = "JISHU_FORWARDED_HEADER", value_enum, default_value_t, value_name = "HEADER")]
    pub forwarded_header: ForwardedHeader,

    /// The origins besides the server's own whose pages may use the API from a browser, such as
    /// https://app.example.com,https://admin.example.com.
    #[arg(long, env = "JISHU_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGINS", value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Compress a response with gzip if it has more bytes than this and the client accepts gzip. 0 switches compression
    /// off. Responses with tokens and streams of events are never compressed.
    #[arg(long, env = "JISHU_COMPRESS_ABOVE_BYTES", default_value_t = 1_400, value_name = "BYTES")]
    pub compress_above_bytes: u32,

    /// Log each request: method, path, status, duration, bytes, address of the client, and id of the signed-in user.
    /// Query strings, bodies and tokens are not logged.
    #[arg(long, env = "JISHU_ACCESS_LOG", value_parser = switch(false))]
    pub access_log: bool,

    /// Seconds for which browsers must use only HTTPS with this host (`Strict-Transport-Security`). 0 does not send the
    /// header. Set it only if every URL of the host is served over HTTPS.
    #[arg(long, env = "JISHU_HSTS_SECONDS", default_value_t = 0, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(0..=63_072_000))]
    pub hsts_seconds: u64,
}

impl EdgeConfig {
    /// Returns how long a GraphQL request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// Returns the options for the budgets of users and addresses.
    #[must_use]
    pub fn limits(&self) -> LimitOptions {
        LimitOptions {
            user_cost_per_minute: self.user_cost_per_minute,
            address_cost_per_minute: self.address_cost_per_minute,
            address_users_cost_per_minute: self.address_users_cost_per_minute,
            registrations_per_hour: self.registrations_per_hour,
            sign_ins_per_minute: self.sign_ins_per_minute,
            sign_in_failures_per_hour: self.sign_in_failures_per_hour,
            mails_per_receiver_per_hour: self.mails_per_receiver_per_hour,
            mail_requests_per_hour: self.mail_requests_per_hour,
        }
    }
}

/// The header in which proxies name the address of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nearly all proxies use.
    #[default]
    XForwardedFor,
    /// `Forwarded`, the standard header (RFC 7239).
    Forwarded,
}

/// Reads a network. A single address is read as the network of only this address.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        "give addresses or networks separated by commas, such as 10.0.0.0/8,192.0.2.7,fd00::/8".to_owned()
    })
}

/// Reads an origin, and returns it in the form in which browsers send it.
fn origin(text: &str) -> Result<String, String> {
    let advice = "give origins separated by commas, such as https://app.example.com. An origin has a scheme, a \
                  host and optionally a port, but no path and no *";
    let url = Url::parse(text.trim()).map_err(|_| advice.to_owned())?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !url.host_str().unwrap_or_default().contains('*');
    if is_origin { Ok(url.origin().ascii_serialization()) } else { Err(advice.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        assert_eq!(origin("https://App.Example.com/").unwrap(), "https://app.example.com");
        assert_eq!(origin(" http://localhost:5173 ").unwrap(), "http://localhost:5173");
        assert_eq!(origin("https://example.com:443").unwrap(), "https://example.com");
        for wrong in [
            "*",
            "null",
            "example.com",
            "https://*.example.com",
            "https://a.example/path",
            "ftp://a",
            "https://a@b",
            "",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_and_addresses_are_read() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network(" 192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        for wrong in ["10.0.0.0/33", "proxy", ""] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
