use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use chrono::Utc;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use serde_json::json;

use super::*;
use crate::auth::{AccessTokens, TokenError, Viewer};

/// The private key of RFC 8410, section 10.3, in version 1 of PKCS#8.
const V1: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
/// The public key that belongs to [`V1`], as base64url.
const X: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";

/// The private key of RFC 8037, appendix A.1, as base64url.
const RFC8037_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// The thumbprint of the key [`RFC8037_D`], from RFC 8037, appendix A.3.
const RFC8037_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// A folder that is deleted when dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("jishu-keys-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    fn file(&self, content: &str) -> PathBuf {
        let path = self.path.join(format!("{}.pem", Uuid::new_v4()));
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn pem_of(pkcs8: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8))
}

fn kids(ring: &KeyRing) -> Vec<String> {
    ring.jwks().keys.into_iter().map(|jwk| jwk.common.key_id.unwrap()).collect()
}

fn load(pem: &str) -> Result<KeyRing, KeyError> {
    KeyRing::from_pem(pem, Path::new("key.pem"))
}

#[test]
fn only_the_public_key_is_published() {
    let ring = load(V1).unwrap();
    let kid = ring.signing().0.to_owned();
    assert_eq!(
        serde_json::to_value(ring.jwks()).unwrap(),
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "x": X, "use": "sig", "alg": "EdDSA", "kid": kid },
        ] })
    );
}

#[test]
fn the_kid_is_the_thumbprint_of_rfc_7638() {
    let seed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(RFC8037_D).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let ring = load(&pem_of(pair.to_pkcs8v1().unwrap().as_ref())).unwrap();
    assert_eq!(ring.signing().0, RFC8037_THUMBPRINT);
}

#[test]
fn reads_both_versions_of_pkcs8() {
    let v1 = load(V1).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(v1.signing().1.as_bytes()).unwrap();
    let v2_document = pair.to_pkcs8().unwrap();
    assert!(v2_document.as_ref().len() > v1.signing().1.as_bytes().len());
    let v2 = load(&pem_of(v2_document.as_ref())).unwrap();
    assert_eq!(v2.jwks(), v1.jwks());
    let fresh = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let viewer = Viewer { user_id: UserId(1), role: Role::Learner, session_id: Uuid::nil() };
    for ring in [v1, v2, load(&pem_of(fresh.as_ref())).unwrap()] {
        let tokens = AccessTokens::new(ring, "iss", "aud", Duration::from_secs(60));
        let token = tokens.issue(viewer, Utc::now()).unwrap().token;
        assert_eq!(tokens.verify(&token, Utc::now()), Ok(viewer));
    }
}

#[test]
fn openssl_and_jishu_read_each_others_keys() {
    let folder = Folder::new();
    let theirs = folder.path.join("theirs.pem");
    let generated =
        Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&theirs).output();
    let Ok(generated) = generated else {
        return; // This machine has no openssl, so there is nothing to compare.
    };
    assert!(generated.status.success());
    KeyRing::from_pem_file(&theirs).unwrap();

    let ours = folder.path.join("ours.pem");
    KeyRing::load_or_create(&ours).unwrap();
    let read = Command::new("openssl").args(["pkey", "-noout", "-in"]).arg(&ours).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let error = KeyRing::from_pem_file(Path::new("/nowhere/key.pem")).unwrap_err();
    assert!(
        error.to_string().contains("openssl genpkey -algorithm ed25519 -out /nowhere/key.pem"),
        "{error}"
    );
}

#[test]
fn the_file_is_made_once_and_only_its_owner_may_read_it() {
    let folder = Folder::new();
    let path = folder.path.join("deeper/down/key.pem");
    let first = kids(&KeyRing::load_or_create(&path).unwrap());
    assert_eq!(kids(&KeyRing::load_or_create(&path).unwrap()), first);
    assert_eq!(kids(&KeyRing::from_pem_file(&path).unwrap()), first);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn processes_that_start_at_once_get_the_same_key() {
    let folder = Folder::new();
    for round in 0..20 {
        let path = folder.path.join(format!("{round}.pem"));
        let barrier = Barrier::new(8);
        let rings: Vec<Vec<String>> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                kids(&KeyRing::load_or_create(&path).unwrap())
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(rings[0].len(), 1);
        assert!(rings.iter().all(|kids| *kids == rings[0]), "{rings:?}");
    }
    assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 20, "temporary files were left behind");
}

#[test]
fn an_unusable_file_is_never_replaced() {
    let folder = Folder::new();
    let path = folder.file("");
    assert!(matches!(KeyRing::load_or_create(&path), Err(KeyError::NoKey(_))));
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert!(matches!(KeyRing::load_or_create(&folder.path), Err(KeyError::Read { .. })));
    let below_a_file = path.join("key.pem");
    assert!(matches!(
        KeyRing::load_or_create(&below_a_file),
        Err(KeyError::Create { .. } | KeyError::Read { .. })
    ));
}

#[test]
fn a_rotated_ring_verifies_the_old_key_until_it_is_deleted() {
    let (old_pem, new_pem) = (generate_pem().unwrap(), generate_pem().unwrap());
    let tokens = |pem: &str| AccessTokens::new(load(pem).unwrap(), "iss", "aud", Duration::from_secs(60));
    let viewer = Viewer { user_id: UserId(1), role: Role::Admin, session_id: Uuid::nil() };
    let now = Utc::now();

    let announced = tokens(&format!("{old_pem}{new_pem}"));
    let rotated = tokens(&format!("# new\r\n{new_pem}\n\nand the old one:\n{old_pem}"));
    let retired = tokens(&new_pem);
    assert_eq!(announced.jwks().keys.len(), 2);
    assert_ne!(announced.jwks().keys[0], rotated.jwks().keys[0]);

    let by_old = announced.issue(viewer, now).unwrap().token;
    let by_new = rotated.issue(viewer, now).unwrap().token;
    for ring in [&announced, &rotated] {
        assert_eq!(ring.verify(&by_old, now), Ok(viewer));
        assert_eq!(ring.verify(&by_new, now), Ok(viewer));
    }
    assert_eq!(retired.verify(&by_new, now), Ok(viewer));
    assert_eq!(retired.verify(&by_old, now), Err(TokenError::UnknownKey));
}

#[test]
fn the_error_names_the_wrong_block() {
    let windows = V1.replace('\n', "\r\n");
    assert_eq!(load(&windows).unwrap().jwks(), load(V1).unwrap().jwks());

    assert!(matches!(load(&format!("{V1}{V1}")), Err(KeyError::Repeated { position: 2, .. })));
    let unfinished = V1.split("-----END").next().unwrap();
    assert!(matches!(load(unfinished), Err(KeyError::NoKey(_))));
    let x25519 = V1.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vu");
    for other in [
        V1.replace("PRIVATE", "PUBLIC"),
        V1.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        V1.replace("MC4C", "MC5C"),
        V1.replace("MC4C", "????"),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".to_owned(),
        x25519,
    ] {
        let error = load(&format!("{}{other}", generate_pem().unwrap())).unwrap_err();
        assert!(matches!(error, KeyError::NotEd25519 { position: 2, .. }), "{other}: {error}");
        assert!(!error.to_string().contains("MC4C"));
    }
}
