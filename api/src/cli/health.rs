//! The command `jishu health`: asks a running server whether it is ready. Some container images have no other HTTP
//! client.

use std::time::Duration;

use clap::Args;

use super::CommandResult;
use crate::config::ListenAddress;

/// Maximum time until the server responds. The server's own check of its readiness takes at most two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// The URL of the readiness check. By default it is /health/ready at the address of --listen.
    #[arg(value_name = "URL")]
    url: Option<String>,

    /// The address and port that the server listens on.
    #[arg(long, env = "JISHU_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: ListenAddress,
}

/// Returns the URL of the readiness check of a server that listens on this address. If the server listens on all
/// addresses, the URL has the loopback address.
fn check_of(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "8080"));
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    format!("http://{host}:{port}/health/ready")
}

/// Asks a server whether it is ready, and prints its response.
pub(super) async fn run(args: HealthArgs) -> CommandResult {
    let url = &args.url.unwrap_or_else(|| check_of(&args.listen.to_string()));
    let client = reqwest::Client::builder().no_proxy().timeout(RESPONSE_TIMEOUT).build()?;
    let response = client.get(url).send().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        format!("{url} does not respond: {cause}. Check that the server runs and listens there")
    })?;
    let status = response.status();
    let text = response.text().await?;
    print!("{text}");
    if status.is_success() {
        return Ok(());
    }
    Err(format!("the server is not ready: it responded with status {status}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_follows_the_address_of_the_server() {
        for (listen, expected) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/health/ready"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000/health/ready"),
            ("[::]:9000", "http://[::1]:9000/health/ready"),
            ("10.0.0.7:80", "http://10.0.0.7:80/health/ready"),
            ("localhost:1", "http://localhost:1/health/ready"),
        ] {
            assert_eq!(check_of(listen), expected);
        }
    }
}
