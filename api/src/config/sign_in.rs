//! Configures the second factors of sign-ins.

use clap::Args;

use super::switch;

/// The rules for second factors.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Second factors")]
pub struct SignInConfig {
    /// Refuse all fields for staff to accounts without a second factor. Staff without a second factor can still sign in
    /// and set one up.
    #[arg(long, env = "JISHU_REQUIRE_STAFF_SECOND_FACTOR", value_parser = switch(false))]
    pub require_staff_second_factor: bool,

    /// The name of the platform in authenticator apps, without colons.
    #[arg(long, env = "JISHU_SECOND_FACTOR_NAME", default_value = "jishu", value_name = "NAME", value_parser = name)]
    pub second_factor_name: String,
}

fn name(text: &str) -> Result<String, String> {
    let is_valid = !text.trim().is_empty() && text.chars().count() <= 64 && !text.contains(':');
    is_valid
        .then(|| text.trim().to_owned())
        .ok_or_else(|| "give a name of 1 to 64 characters, without `:`".to_owned())
}
