//! Fakes of payment providers. They speak the providers' protocols over HTTP on loopback, record orders, payments,
//! refunds and disputes in books, and send signed webhooks.
//!
//! The fakes are written from the providers' documentation, and share no code with `payment-providers`. Tests check the
//! fakes with the clients and types of the npm packages `razorpay` and `stripe`: see `tests/clients/payments`.

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
