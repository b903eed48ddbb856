//! Fakes of payment providers. They speak the providers' protocols over HTTP on loopback, keep books, and send signed webhooks.
//!
//! They are written from the providers' documentation, and share no code with `payment-providers`. The clients and types of
//! the npm packages `razorpay` and `stripe` check them: see `tests/clients/payments`.

pub mod connect;
mod faults;
mod razorpay;
mod server;
mod sign;
mod storm;
mod stripe;
mod webhooks;

pub use faults::{Fault, FaultRates, Faults};
pub use razorpay::{
    CheckoutReturn, FakeRazorpay, RazorpayBooks, RazorpayDispute, RazorpayOrder, RazorpayPayment,
    RazorpayRefund,
};
pub use server::SeenRequest;
pub use sign::hmac_hex;
pub use storm::{BooksLine, BuyerOutcome, FakeProvider, StormRates};
pub use stripe::{FakeStripe, StripeBooks, StripeCharge, StripeDispute, StripeIntent, StripeRefund};
pub use webhooks::{DeliveryPlan, Outbox, SentWebhook, UnsentWebhook};
