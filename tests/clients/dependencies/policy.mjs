// The rules for dependencies: allowed licences, and the crates that the build may contain in several versions.

/**
 * The licences that a crate may have. If a crate offers a choice, the licence that comes first in this list applies.
 */
export const ALLOWED_LICENCES = [
  "MIT",
  "MIT-0",
  "0BSD",
  "Zlib",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Unicode-3.0",
  "CC0-1.0",
  "CDLA-Permissive-2.0",
  "Apache-2.0 WITH LLVM-exception",
  "Apache-2.0",
];

/** Further licences that packages of the GraphiQL page may have. */
export const ALLOWED_IN_PAGE = ["PSF-2.0"];

/** Licences of crates that only the tests use. They are not part of the binary. */
export const ALLOWED_IN_TESTS = ["MPL-2.0"];

/** Crates that do not name their licence in Cargo.toml, with the licence that their files give. */
export const UNNAMED_LICENCES = { "jsonpath-rust": "MIT" };

/**
 * Crates that the binary or its build scripts use in several versions, with the reasons. A new entry needs a reason. Each
 * doubled crate costs compile time and size, and its old version can contain a bug that the newer one fixed.
 */
export const SEVERAL_VERSIONS = {
  atoi: { versions: ["2", "3"], reason: "sqlx 0.9; arrow, which SeaORM 2.0 brings" },
  base64: { versions: ["0.22", "0.23"], reason: "async-graphql 7.0, axum 0.8, jsonwebtoken 11 and sqlx 0.9; jishu and hyper-util" },
  bitflags: { versions: ["1", "2"], reason: "ariadne, which apollo-compiler uses for its reports; all others" },
  "block-buffer": { versions: ["0.10", "0.12"], reason: "sha1 0.10 and sha2 0.10; the newer ones" },
  constant_time_eq: { versions: ["0.4", "0.6"], reason: "totp-rs 6; zip 9" },
  cpufeatures: { versions: ["0.2", "0.3"], reason: "sha1 0.10 and sha2 0.10; the newer ones" },
  "crypto-common": { versions: ["0.1", "0.2"], reason: "sha1 0.10 and sha2 0.10; the newer ones" },
  darling: { versions: ["0.20", "0.23"], reason: "sea-query-derive 1.0; async-graphql 7.0" },
  darling_core: { versions: ["0.20", "0.23"], reason: "sea-query-derive 1.0; async-graphql 7.0" },
  darling_macro: { versions: ["0.20", "0.23"], reason: "sea-query-derive 1.0; async-graphql 7.0" },
  digest: { versions: ["0.10", "0.11"], reason: "sha1 0.10 and sha2 0.10; the newer ones" },
  getrandom: { versions: ["0.2", "0.3", "0.4"], reason: "rand 0.8 and ring 0.17; rand 0.9 and ahash; rand 0.10, uuid and argon2" },
  hashbrown: { versions: ["0.14", "0.16", "0.17"], reason: "rowan, which apollo-compiler uses; governor and sqlx; indexmap and quick_cache" },
  heck: { versions: ["0.4", "0.5"], reason: "the macros of SeaORM 2.0; clap" },
  "num-bigint": { versions: ["0.4", "0.5"], reason: "bigdecimal and simple_asn1; arrow, which SeaORM 2.0 brings" },
  rand: { versions: ["0.8", "0.9", "0.10"], reason: "rust_decimal 1; tungstenite 0.29; jishu and sqlx" },
  rand_chacha: { versions: ["0.3", "0.9"], reason: "rand 0.8; rand 0.9" },
  rand_core: { versions: ["0.6", "0.9", "0.10"], reason: "rand 0.8; rand 0.9; rand 0.10" },
  "rustc-hash": { versions: ["1", "2"], reason: "rowan, which apollo-compiler uses; quinn, an option of reqwest that is off" },
  sha1: { versions: ["0.10", "0.11"], reason: "axum 0.8 and tungstenite 0.29; sqlx 0.9" },
  sha2: { versions: ["0.10", "0.11"], reason: "sqlx-core 0.9; jishu, scrypt and the drivers of sqlx" },
  strum: { versions: ["0.27", "0.28"], reason: "async-graphql 7.0; SeaORM 2.0" },
  syn: { versions: ["2", "3"], reason: "async-graphql 7.0, SeaORM 2.0 and others; async-trait, clap and futures" },
  thiserror: { versions: ["1", "2"], reason: "jsonpath-rust, which apollo-compiler uses; all others" },
  "thiserror-impl": { versions: ["1", "2"], reason: "jsonpath-rust, which apollo-compiler uses; all others" },
  "tower-http": { versions: ["0.6", "0.7"], reason: "reqwest 0.13; jishu" },
  untrusted: { versions: ["0.7", "0.9"], reason: "aws-lc-rs 1; ring 0.17" },
};
