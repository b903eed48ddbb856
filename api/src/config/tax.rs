//! Configures the tax of purchases.

use clap::Args;
use rust_decimal::Decimal;

use super::switch;
use jishu_service::tax::{MAX_TAX_LABEL_CHARS, TaxPolicy, TaxRate};

/// The tax of purchases. A purchase keeps the tax that it was made with.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tax")]
pub struct TaxConfig {
    /// The tax of purchases, in percent, with at most two decimal places.
    #[arg(long, env = "JISHU_TAX_PERCENT", default_value = "0", value_name = "PERCENT", value_parser = rate)]
    pub tax_percent: TaxRate,

    /// The name of the tax on receipts, such as GST or VAT: 1 to 32 characters.
    #[arg(long, env = "JISHU_TAX_LABEL", default_value = "Tax", value_name = "NAME", value_parser = label)]
    pub tax_label: String,

    /// Treat the prices of the catalogue as prices without tax, so that a purchase adds the tax. Otherwise the prices
    /// include the tax.
    #[arg(long, env = "JISHU_PRICES_EXCLUDE_TAX", value_parser = switch(false))]
    pub prices_exclude_tax: bool,
}

impl TaxConfig {
    /// Returns the policy by which the services compute taxes.
    #[must_use]
    pub fn policy(&self) -> TaxPolicy {
        TaxPolicy {
            label: self.tax_label.clone(),
            rate: self.tax_percent,
            is_included: !self.prices_exclude_tax,
        }
    }
}

fn rate(text: &str) -> Result<TaxRate, String> {
    let rate = text.parse::<Decimal>().ok().and_then(TaxRate::from_percent);
    rate.ok_or_else(|| {
        "give a percentage from 0 to 100 with at most two decimal places, such as 18".to_owned()
    })
}

fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_TAX_LABEL_CHARS || text.contains(char::is_control) {
        return Err(format!(
            "give a name of 1 to {MAX_TAX_LABEL_CHARS} characters without control characters, such as GST"
        ));
    }
    Ok(text.to_owned())
}
