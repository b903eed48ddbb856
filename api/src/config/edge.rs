//! What protects the server from strangers, and from too much at once.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use ipnet::IpNet;
use url::Url;

use super::switch;
use crate::limit::LimitOptions;

/// Time limits, limits on what runs at once, budgets, proxies and origins.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connections, budgets and browsers")]
pub struct EdgeConfig {
    /// The most connections at once; more wait in the system's queue until one closes.
    #[arg(long, env = "JISHU_MAX_CONNECTIONS", default_value_t = 4_096, value_name = "COUNT",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// The most connections from one address (a /64 of IPv6) at once; more are closed at once. Trusted proxies may
    /// have any number. 0 is no limit.
    #[arg(long, env = "JISHU_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 1_024, value_name = "COUNT")]
    pub max_connections_per_address: u32,

    /// The most GraphQL requests that are answered at once; more are refused at once with status 503.
    #[arg(long, env = "JISHU_MAX_REQUESTS", default_value_t = 512, value_name = "COUNT",
          value_parser = value_parser!(u32).range(1..=100_000))]
    pub max_requests: u32,

    /// How long a connection may take to send the head of a request, in seconds. It is closed then.
    #[arg(long, env = "JISHU_HEAD_SECONDS", default_value_t = 10, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub head_seconds: u64,

    /// How long a client may take to send the body of a GraphQL request, in seconds; then the answer is status
    /// 408.
    #[arg(long, env = "JISHU_BODY_SECONDS", default_value_t = 15, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub body_seconds: u64,

    /// How long a connection is kept on which nothing is asked, or whose client takes nothing of an answer, in
    /// seconds; a client that takes less than 10 kB a second has as long beside the time for its bytes. Longer than
    /// a balancer in front keeps its connections.
    #[arg(long, env = "JISHU_IDLE_SECONDS", default_value_t = 75, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub idle_seconds: u64,

    /// How long a GraphQL request may take once its body is there, in seconds; then the answer is status 504.
    /// A statement of the database may take half of it, and at most 15 seconds. Does not bound subscriptions.
    #[arg(long, env = "JISHU_REQUEST_SECONDS", default_value_t = 30, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=600))]
    pub request_seconds: u64,

    /// What the operations of one user may cost in a minute on this node; 0 is no limit. An operation costs
    /// about the number of objects that it can return.
    #[arg(long, env = "JISHU_USER_COST_PER_MINUTE", default_value_t = 60_000, value_name = "COST")]
    pub user_cost_per_minute: u32,

    /// What operations without a sign-in may cost in a minute from one address (a /64 of IPv6) on this node; 0 is
    /// no limit.
    #[arg(long, env = "JISHU_ADDRESS_COST_PER_MINUTE", default_value_t = 600_000, value_name = "COST")]
    pub address_cost_per_minute: u32,

    /// What the operations of all who are signed in may cost in a minute from one address (a /64 of IPv6) on this
    /// node, of which a school or a mobile network may have many; 0 is no limit.
    #[arg(
        long,
        env = "JISHU_ADDRESS_USERS_COST_PER_MINUTE",
        default_value_t = 6_000_000,
        value_name = "COST"
    )]
    pub address_users_cost_per_minute: u32,

    /// Accounts that may be made from one address (a /64 of IPv6) in an hour on this node; 0 is no limit.
    #[arg(long, env = "JISHU_REGISTRATIONS_PER_HOUR", default_value_t = 500, value_name = "COUNT")]
    pub registrations_per_hour: u32,

    /// Attempts to sign in or to register from one address (a /64 of IPv6) in a minute on this node, of which one
    /// that fails counts as five; 0 is no limit.
    #[arg(long, env = "JISHU_SIGN_INS_PER_MINUTE", default_value_t = 300, value_name = "COUNT")]
    pub sign_ins_per_minute: u32,

    /// Failed attempts to sign in to one account in an hour on this node, from anywhere; addresses from which the
    /// account was signed in to have a count of their own. 0 is no limit.
    #[arg(long, env = "JISHU_SIGN_IN_FAILURES_PER_HOUR", default_value_t = 20, value_name = "COUNT")]
    pub sign_in_failures_per_hour: u32,

    /// The networks of proxies whose word on the client's address counts, such as 10.0.0.0/8,fd00::/8. None
    /// without it: then a client is the other end of its connection.
    #[arg(long, env = "JISHU_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS",
          value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// The header in which trusted proxies name the client. They must overwrite or extend what clients send in it.
    #[arg(long, env = "JISHU_FORWARDED_HEADER", value_enum, default_value_t, value_name = "HEADER")]
    pub forwarded_header: ForwardedHeader,

    /// The origins of pages, other than ours, that may use the API from a browser, such as
    /// https://app.example.com,https://admin.example.com.
    #[arg(long, env = "JISHU_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGINS", value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Log each request: method, path, status, duration, bytes, the client's address, and the user's id where one is
    /// signed in. Queries in addresses, bodies and tokens are left out.
    #[arg(long, env = "JISHU_ACCESS_LOG", value_parser = switch(false))]
    pub access_log: bool,

    /// Tells browsers to use nothing but HTTPS with this host for so many seconds (`Strict-Transport-Security`);
    /// 0 is not telling them. Only where every address of the host has HTTPS in front.
    #[arg(long, env = "JISHU_HSTS_SECONDS", default_value_t = 0, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(0..=63_072_000))]
    pub hsts_seconds: u64,
}

impl EdgeConfig {
    /// How long a GraphQL request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// As the limits take it.
    #[must_use]
    pub fn limits(&self) -> LimitOptions {
        LimitOptions {
            user_cost_per_minute: self.user_cost_per_minute,
            address_cost_per_minute: self.address_cost_per_minute,
            address_users_cost_per_minute: self.address_users_cost_per_minute,
            registrations_per_hour: self.registrations_per_hour,
            sign_ins_per_minute: self.sign_ins_per_minute,
            sign_in_failures_per_hour: self.sign_in_failures_per_hour,
        }
    }
}

/// Where proxies write the address of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ForwardedHeader {
    /// What nearly all of them use.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        "give addresses or networks separated by commas, such as 10.0.0.0/8,192.0.2.7,fd00::/8".to_owned()
    })
}

/// An origin, in the form in which browsers send it.
fn origin(text: &str) -> Result<String, String> {
    let say = "give origins separated by commas, such as https://app.example.com: scheme and host, a port where \
               there is one, no path and no *";
    let url = Url::parse(text.trim()).map_err(|_| say.to_owned())?;
    let bare = matches!(url.scheme(), "http" | "https")
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !url.host_str().unwrap_or_default().contains('*');
    if bare { Ok(url.origin().ascii_serialization()) } else { Err(say.to_owned()) }
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
    fn networks_are_networks_or_addresses() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network(" 192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        for wrong in ["10.0.0.0/33", "proxy", ""] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
