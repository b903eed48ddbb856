//! `jishu health`, for images that have no other client of HTTP.

use std::time::Duration;

use clap::Args;

use super::CommandResult;

/// How long the server may take to respond. Its check takes at most two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// The address of the check.
    #[arg(default_value = "http://127.0.0.1:8080/health/ready", value_name = "URL")]
    url: String,
}

/// Asks a server whether it is ready, and prints its response.
pub(super) async fn run(args: HealthArgs) -> CommandResult {
    let url = &args.url;
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
