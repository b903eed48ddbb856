//! Rules for the fields of an account.

use super::Registration;
use crate::auth::MAX_PASSWORD_BYTES;
use crate::name::is_readable;

/// Minimum length of a password in characters: the minimum of OWASP ASVS 5.0, requirement 6.2.1, which recommends 15.
///
/// NIST SP 800-63B-4, section 3.1.1.2 allows eight only for a password that is always used with a second factor, and
/// requires 15 for a password alone. Here a second factor is optional, so this minimum is weaker than NIST requires.
/// It is a compromise: learners type their passwords on phones, and the limits on failed sign-ins slow guesses down.
/// Both documents forbid rules about which characters to use.
pub const MIN_PASSWORD_CHARS: usize = 8;

const MAX_NAME_CHARS: usize = 200;
/// Maximum length of an e-mail address: the limit of RFC 5321, section 4.5.3.1.3, without the two brackets of a path.
pub(super) const MAX_EMAIL_BYTES: usize = 254;

/// A problem with a field of an account. The message is for the person who filled in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// The name is too long, has no visible character, or has control characters or other invisible characters.
    #[error(
        "Give a name of 1 to {MAX_NAME_CHARS} characters, without control characters or invisible characters."
    )]
    Name,
    /// The text is not an e-mail address.
    #[error("Give an e-mail address such as name@example.com.")]
    Email,
    /// The password is too short.
    #[error("Choose a password of at least {MIN_PASSWORD_CHARS} characters.")]
    PasswordTooShort,
    /// The password is too long.
    #[error("Choose a password of at most {MAX_PASSWORD_BYTES} bytes.")]
    PasswordTooLong,
    /// The year of birth is missing.
    #[error("Give the year of birth.")]
    BirthYearMissing,
    /// The year of birth is in the future, or before 1900.
    #[error("Give a year of birth between 1900 and now.")]
    BirthYear,
    /// The password is the e-mail address.
    #[error("Choose a password that is not the e-mail address.")]
    PasswordIsEmail,
}

/// Valid fields, in the form in which they are stored.
pub(super) struct ValidFields {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) birth_year: Option<i32>,
}

/// Checks the name, the e-mail address and the password of a registration. Returns all problems at once. Does not
/// check the year of birth.
pub(super) fn check(registration: &Registration) -> Result<ValidFields, Vec<InvalidField>> {
    let mut invalid = Vec::new();
    let name = check_name(&registration.name).map_err(|error| invalid.push(error));
    let email = check_email(&registration.email).map_err(|error| invalid.push(error));
    // The password must differ from the address even if the address is not valid.
    let folded = fold_email(&registration.email);
    invalid.extend(check_password(&registration.password, &folded).err());
    match (name, email) {
        (Ok(name), Ok(email)) if invalid.is_empty() => {
            Ok(ValidFields { name, email, birth_year: registration.birth_year })
        }
        _ => Err(invalid),
    }
}

/// Checks a name, and returns it without surrounding spaces, as it is stored.
pub(crate) fn check_name(name: &str) -> Result<String, InvalidField> {
    let name = name.trim();
    let is_valid = name.chars().count() <= MAX_NAME_CHARS && is_readable(name);
    is_valid.then(|| name.to_owned()).ok_or(InvalidField::Name)
}

/// Checks an e-mail address, and returns it without surrounding spaces and in lower case, as it is stored.
pub(crate) fn check_email(email: &str) -> Result<String, InvalidField> {
    let email = fold_email(email);
    let is_valid = email.len() <= MAX_EMAIL_BYTES && is_address(&email);
    is_valid.then_some(email).ok_or(InvalidField::Email)
}

/// Checks the length of a password, and that the password is not the e-mail address of the account. `email` must have
/// the stored form.
pub(super) fn check_password(password: &str, email: &str) -> Result<(), InvalidField> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        Err(InvalidField::PasswordTooShort)
    } else if password.len() > MAX_PASSWORD_BYTES {
        Err(InvalidField::PasswordTooLong)
    } else if fold_email(password) == email {
        Err(InvalidField::PasswordIsEmail)
    } else {
        Ok(())
    }
}

/// Returns an e-mail address in the form in which it is stored and looked up: without surrounding spaces and in lower
/// case.
pub(crate) fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Returns whether this is a plain address at a domain of at least two labels. An address with a display name, with
/// quotes, with a NUL character, or with an IP address in place of the domain is not plain.
fn is_address(email: &str) -> bool {
    let options =
        email_address::Options::default().with_required_tld().without_domain_literal().without_display_text();
    // Many systems cannot handle an address with quotes, and hardly anybody has one.
    !email.contains(['"', '\0']) && email_address::EmailAddress::parse_with_options(email, options).is_ok()
}

#[cfg(test)]
mod tests {
    use jishu_entity::user::Role;

    use super::*;

    fn problems(name: &str, email: &str, password: &str) -> Vec<InvalidField> {
        let (name, email, password) = (name.to_owned(), email.to_owned(), password.to_owned());
        check(&Registration { name, email, password, role: Role::Learner, birth_year: None })
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn a_plain_registration_passes() {
        assert_eq!(problems("Asha", "Asha@Example.com", "correct horse"), []);
        assert_eq!(problems("आशा", "asha+neet@mail.example.in", "पासवर्ड-लंबा"), []);
    }

    #[test]
    fn unreadable_names_are_refused() {
        for name in ["\u{200b}", "\u{3164}", "Asha\u{202e}", "A\tB"] {
            assert_eq!(problems(name, "asha@example.com", "correct horse"), [InvalidField::Name], "{name:?}");
        }
        assert_eq!(problems("علی‌رضا", "ali@example.com", "correct horse"), []);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        assert_eq!(
            problems("  ", "nobody", "short"),
            [InvalidField::Name, InvalidField::Email, InvalidField::PasswordTooShort]
        );
    }

    #[test]
    fn only_plain_addresses_are_accepted() {
        for email in
            ["", "@example.com", "a@", "a b@example.com", "A <a@example.com>", "a@[127.0.0.1]", "a@host"]
        {
            assert_eq!(problems("Asha", email, "correct horse"), [InvalidField::Email], "{email}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        assert_eq!(problems("Asha", &long, "correct horse"), [InvalidField::Email]);
    }

    #[test]
    fn long_passwords_and_the_address_as_password_are_refused() {
        assert_eq!(problems("Asha", "asha@example.com", "Asha@example.com"), [InvalidField::PasswordIsEmail]);
        assert_eq!(problems("Asha", "asha@example.com", &"x".repeat(1_025)), [InvalidField::PasswordTooLong]);
    }

    #[test]
    fn addresses_are_trimmed_and_lower_case() {
        assert_eq!(fold_email("  Asha@EXAMPLE.com "), "asha@example.com");
    }
}
