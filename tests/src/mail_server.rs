//! A mail server that keeps the mails it gets. It uses SMTP over TCP without TLS, as the crate `lettre` expects it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::wait_for;

/// The way in which the mail server treats mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailServerMode {
    /// Accepts each mail.
    Accept,
    /// Accepts the connection and never sends a byte.
    Hang,
    /// Refuses the receiver of each mail with this SMTP status code.
    Refuse(u16),
}

/// A mail that arrived.
#[derive(Clone, Debug)]
pub struct CaughtMail {
    /// The e-mail address of the receiver.
    pub to: String,
    /// The whole message, with its headers.
    pub text: String,
    /// The result of the check that [`MailServer::start_with`] got, at the moment when the mail arrived. True without a
    /// check.
    pub passed_check: bool,
}

impl CaughtMail {
    /// Returns the value of a header.
    ///
    /// # Panics
    /// Panics if the mail does not have the header.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// Returns the token of the link in the mail.
    ///
    /// # Panics
    /// Panics if the mail does not have a link.
    #[must_use]
    pub fn token(&self) -> &str {
        let (_, rest) = self.text.split_once("#token=").unwrap_or_else(|| panic!("no link: {}", self.text));
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        &rest[..end.unwrap_or(rest.len())]
    }
}

/// A check that the mail server runs when a mail arrives. The check gets the receiver's address.
pub type ReceiverCheck = Arc<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// A running mail server. Dropping this value stops the server.
pub struct MailServer {
    port: u16,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    mode: Mutex<MailServerMode>,
    mails: Mutex<Vec<CaughtMail>>,
    connections: AtomicUsize,
    check: Option<ReceiverCheck>,
}

/// The user and the password that a client must send, in the form of `AUTH PLAIN`.
const CREDENTIALS: &str = "\0jishu@example.org\0mail secret";

impl MailServer {
    /// Starts a mail server that accepts mails.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a mail server that accepts mails, and runs `check`, if given, when a mail arrives.
    ///
    /// # Panics
    /// Panics if there is no free port.
    pub async fn start_with(check: Option<ReceiverCheck>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            mode: Mutex::new(MailServerMode::Accept),
            mails: Mutex::default(),
            connections: AtomicUsize::new(0),
            check,
        });
        let of_task = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                of_task.connections.fetch_add(1, Ordering::SeqCst);
                // If a client is killed, its conversation ends with an error, which is ignored.
                let state = Arc::clone(&of_task);
                tokio::spawn(async move { state.converse(stream).await.unwrap_or_default() });
            }
        });
        Self { port, state, serving }
    }

    /// Returns the URL of the mail server, with the right user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://jishu%40example.org:mail%20secret@127.0.0.1:{}", self.port)
    }

    /// Changes how the mails of new connections are treated.
    ///
    /// # Panics
    /// Panics if another thread panicked while it changed the mode.
    pub fn set_mode(&self, mode: MailServerMode) {
        *self.state.mode.lock().expect("never poisoned") = mode;
    }

    /// Returns the number of connections that the server has accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Returns all mails that have arrived, oldest first.
    ///
    /// # Panics
    /// Panics if another thread panicked while it stored a mail.
    #[must_use]
    pub fn mails(&self) -> Vec<CaughtMail> {
        self.state.mails.lock().expect("never poisoned").clone()
    }

    /// Returns the mails that have arrived for an address, oldest first.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<CaughtMail> {
        self.mails().into_iter().filter(|mail| mail.to == address).collect()
    }

    /// Waits until there is a mail to this address with this subject, and returns the newest.
    pub async fn newest(&self, address: &str, subject: &str) -> CaughtMail {
        let is_one = |mail: &CaughtMail| mail.header("Subject") == subject;
        wait_for(&format!("{subject:?} to {address}"), async || {
            self.mails_to(address).into_iter().rev().find(is_one)
        })
        .await
    }

    /// Deletes all mails that have arrived.
    ///
    /// # Panics
    /// Panics if another thread panicked while it stored a mail.
    pub fn forget(&self) {
        self.state.mails.lock().expect("never poisoned").clear();
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mode = *self.mode.lock().expect("never poisoned");
        if mode == MailServerMode::Hang {
            // Keeps the connection open until the client closes it.
            let mut stream = stream;
            let mut taken = [0; 1];
            while tokio::io::AsyncReadExt::read(&mut stream, &mut taken).await? > 0 {}
            return Ok(());
        }
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 mail.example.org ESMTP\r\n").await?;
        let (mut to, mut is_known) = (String::new(), false);
        while let Some(line) = lines.next_line().await? {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let response = match &*verb {
                "EHLO" => "250-mail.example.org\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n".to_owned(),
                "AUTH" => {
                    let sent = line.rsplit(' ').next().map(|word| STANDARD.decode(word).unwrap_or_default());
                    is_known = sent.is_some_and(|sent| sent == CREDENTIALS.as_bytes());
                    if is_known { "235 ok\r\n".to_owned() } else { "535 unknown\r\n".to_owned() }
                }
                "MAIL" if is_known => "250 ok\r\n".to_owned(),
                "MAIL" => "530 authenticate first\r\n".to_owned(),
                "RCPT" => match mode {
                    MailServerMode::Refuse(code) => format!("{code} no such user: {line}\r\n"),
                    _ => {
                        to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                        "250 ok\r\n".to_owned()
                    }
                },
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await?;
                    let mut text = String::new();
                    loop {
                        let Some(line) = lines.next_line().await? else { return Ok(()) };
                        if line == "." {
                            break;
                        }
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                        text.push('\n');
                    }
                    let passed_check = match &self.check {
                        Some(check) => check(to.clone()).await,
                        None => true,
                    };
                    let mail = CaughtMail { to: to.clone(), text, passed_check };
                    self.mails.lock().expect("never poisoned").push(mail);
                    "250 taken\r\n".to_owned()
                }
                "QUIT" => {
                    writer.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "250 ok\r\n".to_owned(),
            };
            writer.write_all(response.as_bytes()).await?;
        }
        Ok(())
    }
}
