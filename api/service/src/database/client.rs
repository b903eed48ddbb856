//! Translates the URL of a database into the environment and the arguments of the client programs of its server.

use url::Url;

/// The server and the database that a URL names, in the form that client programs need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTarget {
    /// The name or the address of the server.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The user. Empty if the URL names no user.
    pub user: String,
    /// The name of the database.
    pub database: String,
    /// The arguments about TLS for the client of MariaDB. Empty for PostgreSQL, whose clients read environment
    /// variables.
    pub tls: Vec<String>,
}

/// A reason why the client programs of a database server cannot use a URL.
#[derive(Debug, thiserror::Error)]
pub enum ClientUrlError {
    /// The URL is not well-formed.
    #[error(
        "the URL of the database server cannot be read. Give a URL such as postgres://USER@HOST/DATABASE or \
         mysql://USER@HOST/DATABASE"
    )]
    Unreadable,
    /// The URL has a TLS parameter that jishu cannot pass on to the client programs. Without the parameter they would
    /// connect in another way than jishu.
    #[error(
        "the URL of the database server has the TLS parameter `{0}`. Its name or its value cannot be passed on to the \
         client programs of the server. Use one of sslmode, sslrootcert, sslcert and sslkey for PostgreSQL, or of \
         ssl-mode, ssl-ca, ssl-cert and ssl-key for MariaDB"
    )]
    TlsParameter(String),
}

/// Environment variables, each a name and a value. They can contain a password: other users of the machine cannot
/// read the environment of a process, unlike its arguments.
pub type ClientVariables = Vec<(&'static str, String)>;

/// Returns the environment variables and the target with which the client programs of PostgreSQL and MariaDB connect
/// to a URL. Accepts the names of TLS parameters that the database driver accepts.
///
/// # Errors
/// Fails if the URL cannot be read, or has a TLS parameter that cannot be passed on to the client programs.
pub fn client_environment(url: &str) -> Result<(ClientVariables, ClientTarget), ClientUrlError> {
    let url = Url::parse(&url.replacen("mariadb:", "mysql:", 1))
        .map_err(|_malformed| ClientUrlError::Unreadable)?;
    let decoded = |text: &str| {
        let pairs = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let is_mysql = url.scheme() == "mysql";
    let user = decoded(url.username()).filter(|user| !user.is_empty());
    let password = url.password().and_then(decoded);
    let mut target = ClientTarget {
        host: url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(if is_mysql { 3306 } else { 5432 }),
        user: user.clone().unwrap_or_default(),
        database: url.path().trim_start_matches('/').to_owned(),
        tls: Vec::new(),
    };
    let mut variables = Vec::new();
    if is_mysql {
        variables.extend(password.map(|password| ("MYSQL_PWD", password)));
    } else {
        variables.extend([
            ("PGHOST", target.host.clone()),
            ("PGPORT", target.port.to_string()),
            ("PGDATABASE", target.database.clone()),
        ]);
        variables.extend(user.map(|user| ("PGUSER", user)));
        variables.extend(password.map(|password| ("PGPASSWORD", password)));
    }
    for (name, value) in url.query_pairs() {
        let is_about_tls = name.starts_with("ssl") || name.starts_with("tls");
        if is_mysql {
            match mariadb_tls(&name, &value) {
                Some(arguments) => target.tls.extend(arguments),
                None if is_about_tls => return Err(ClientUrlError::TlsParameter(name.into_owned())),
                None => {}
            }
        } else {
            match postgres_tls(&name, &value) {
                Some(variable) => variables.push(variable),
                None if is_about_tls => return Err(ClientUrlError::TlsParameter(name.into_owned())),
                None => {}
            }
        }
    }
    Ok((variables, target))
}

/// Returns the environment variable of PostgreSQL's clients for a TLS parameter. Returns None for a parameter that has
/// no variable, and for a mode that PostgreSQL does not know.
fn postgres_tls(name: &str, value: &str) -> Option<(&'static str, String)> {
    match name {
        "sslmode" | "ssl-mode" => {
            let mode = value.to_ascii_lowercase();
            let known = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
            known.contains(&mode.as_str()).then_some(("PGSSLMODE", mode))
        }
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => Some(("PGSSLROOTCERT", value.to_owned())),
        "sslcert" | "ssl-cert" => Some(("PGSSLCERT", value.to_owned())),
        "sslkey" | "ssl-key" => Some(("PGSSLKEY", value.to_owned())),
        _ => None,
    }
}

/// Returns the arguments of MariaDB's client for a TLS parameter. Returns None for a parameter that has no arguments,
/// and for a mode that MariaDB does not know.
fn mariadb_tls(name: &str, value: &str) -> Option<Vec<String>> {
    match name {
        "sslmode" | "ssl-mode" => {
            let arguments: &[&str] = match value.to_ascii_lowercase().as_str() {
                "disabled" => &["--skip-ssl"],
                "preferred" | "required" => &["--ssl", "--skip-ssl-verify-server-cert"],
                // MariaDB's client cannot check only the issuer of the certificate. So for `verify_ca` it checks also
                // the name of the server.
                "verify_ca" | "verify_identity" => &["--ssl", "--ssl-verify-server-cert"],
                _ => return None,
            };
            Some(arguments.iter().map(|argument| (*argument).to_owned()).collect())
        }
        "sslca" | "ssl-ca" => Some(vec![format!("--ssl-ca={value}")]),
        "sslcert" | "ssl-cert" => Some(vec![format!("--ssl-cert={value}")]),
        "sslkey" | "ssl-key" => Some(vec![format!("--ssl-key={value}")]),
        _ => None,
    }
}

/// Returns whether two URLs name the same database of the same server. The users, passwords and parameters may
/// differ. Returns false if a URL cannot be read.
#[must_use]
pub fn is_same_database(one: &str, other: &str) -> bool {
    let named = |url: &str| {
        let url = url.replacen("mariadb:", "mysql:", 1).replacen("postgresql:", "postgres:", 1);
        let url = Url::parse(&url).ok()?;
        let default_port = if url.scheme() == "mysql" { 3306 } else { 5432 };
        let host = url.host_str().unwrap_or("127.0.0.1").to_ascii_lowercase();
        let database = url.path().trim_matches('/').to_owned();
        Some((url.scheme().to_owned(), host, url.port().unwrap_or(default_port), database))
    };
    named(one).is_some_and(|one| named(other) == Some(one))
}

/// Returns a URL for messages, with `***` in place of its password.
pub(super) fn without_password(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Setting the password fails only for a URL that cannot have one.
            let _ = parsed.set_password(Some("***"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_parts_of_a_url() {
        let url = "postgres://jishu:p%40ss+w%2Bord@db.example.com:6432/shop?ssl-mode=Verify-Full&ssl-ca=%2Fca.pem\
                   &sslcert=/c.pem&ssl-key=/k.pem";
        let (variables, target) = client_environment(url).unwrap();
        for pair in [
            ("PGHOST", "db.example.com"),
            ("PGPORT", "6432"),
            ("PGUSER", "jishu"),
            ("PGPASSWORD", "p@ss+w+ord"),
            ("PGDATABASE", "shop"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
            ("PGSSLCERT", "/c.pem"),
            ("PGSSLKEY", "/k.pem"),
        ] {
            assert!(variables.contains(&(pair.0, pair.1.to_owned())), "{pair:?} in {variables:?}");
        }
        assert_eq!(target.port, 6432);
        let (variables, target) = client_environment("mariadb://root@[::1]/shop").unwrap();
        assert_eq!(variables, []);
        assert_eq!((target.host.as_str(), target.port, target.user.as_str()), ("::1", 3306, "root"));
        assert_eq!(target.tls, Vec::<String>::new());
    }

    #[test]
    fn clients_of_mariadb_get_the_tls_of_a_url() {
        let url = "mysql://root@db.example.com/shop?ssl-mode=VERIFY_IDENTITY&sslca=/ca.pem&ssl-cert=/c.pem&sslkey=/k.pem";
        let (_, target) = client_environment(url).unwrap();
        let expected = [
            "--ssl",
            "--ssl-verify-server-cert",
            "--ssl-ca=/ca.pem",
            "--ssl-cert=/c.pem",
            "--ssl-key=/k.pem",
        ];
        assert_eq!(target.tls, expected);
    }

    #[test]
    fn a_tls_parameter_that_would_be_lost_is_refused() {
        for url in [
            "postgres://a@b/c?sslcrl=/crl.pem",
            "postgres://a@b/c?sslmode=strict",
            "mysql://a@b/c?ssl-mode=strict",
            "mysql://a@b/c?tls-version=TLSv1.3",
        ] {
            let refused = client_environment(url);
            assert!(matches!(refused, Err(ClientUrlError::TlsParameter(_))), "{url}: {refused:?}");
        }
        assert!(matches!(client_environment("nonsense"), Err(ClientUrlError::Unreadable)));
        assert!(client_environment("postgres://a@b/c?application_name=x").is_ok());
    }

    #[test]
    fn urls_of_one_database_are_recognised() {
        assert!(is_same_database(
            "postgres://a:x@Host/shop",
            "postgresql://b@host:5432/shop?sslmode=require"
        ));
        assert!(is_same_database("mariadb://a@h/shop", "mysql://a@h:3306/shop"));
        for other in ["postgres://a@h/other", "postgres://a@h:5433/shop", "mysql://a@h:5432/shop", "x"] {
            assert!(!is_same_database("postgres://a@h/shop", other), "{other}");
        }
    }
}
