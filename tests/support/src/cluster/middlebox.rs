//! A middlebox before the API server that spoils its answers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Organization;

/// What a middlebox does to the answers that it spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Leaves the last three bytes of each line out.
    CutsBytes,
    /// Puts something into the middle of each line that isn't JSON.
    Garbage,
    /// Puts a number where a text was, so that it is JSON of another form.
    OtherForm,
    /// Announces more than comes.
    TooLong,
    /// Announces less than comes.
    TooShort,
    /// Puts a byte into the middle that isn't UTF-8.
    NotUtf8,
    /// Says that it is HTML.
    WrongType,
    /// Puts the answer on a page of its own, as if all was well.
    Page,
    /// Puts the request and the answer on a page of its own, with this code.
    ErrorPage(u16),
    /// Puts the request and the answer into the words of a refusal, with this code.
    Status(u16),
    /// Puts the answer into the reason of a refusal.
    StatusReason,
    /// Closes the connection in the middle.
    Closes,
}

impl Fault {
    pub const ALL: [Self; 15] = [
        Self::CutsBytes,
        Self::Garbage,
        Self::OtherForm,
        Self::TooLong,
        Self::TooShort,
        Self::NotUtf8,
        Self::WrongType,
        Self::Page,
        Self::ErrorPage(404),
        Self::ErrorPage(502),
        Self::Status(403),
        Self::Status(410),
        Self::Status(500),
        Self::StatusReason,
        Self::Closes,
    ];
}

/// Which answers a middlebox spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything about Secrets and roster's kinds.
    Everything,
    /// The Secrets that are read one by one.
    Secrets,
    /// The answers to writes.
    Writes,
}

#[derive(Default)]
struct Spoilt {
    fault: Option<(Fault, Scope)>,
    answers: u64,
}

type Spoiling = Arc<Mutex<Spoilt>>;

/// Returns what is done to an answer, and counts it.
fn fault_for(asked: &Asked, spoiling: &Spoiling) -> Option<Fault> {
    let mut spoiling = spoiling.lock().expect("no thread panics");
    // The Lease and what isn't roster's is let through: an operator that can't work says little.
    let concerns = |scope| match scope {
        Scope::Everything => {
            asked.target.contains("/secrets") || asked.target.contains("roster.rs")
        }
        Scope::Secrets => asked.target.contains("/secrets/"),
        Scope::Writes => asked.target.contains("roster.rs") && asked.method != Method::GET,
    };
    let (fault, _) = spoiling.fault.filter(|(_, scope)| concerns(*scope))?;
    spoiling.answers += 1;
    Some(fault)
}

/// A middlebox: plain HTTP in, TLS out.
pub struct Middlebox {
    port: u16,
    server: String,
    spoiling: Spoiling,
}

impl Middlebox {
    /// Starts a middlebox before the API server; its thread lives as long as the tests.
    pub fn start(organization: &Organization) -> Self {
        let kubeconfig = organization.operators_kubeconfig();
        let server = kubeconfig
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: "))
            .expect("a server")
            .to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it can be polled");
        let port = listener.local_addr().expect("it listens").port();
        let spoiling = Spoiling::default();
        let middlebox = Self { port, server: server.clone(), spoiling: spoiling.clone() };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::spawn(move || {
            runtime.block_on(async move {
                // Whoever comes first has installed it for all.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = Client::builder()
                    .no_proxy()
                    .tls_danger_accept_invalid_certs(true)
                    .build()
                    .expect("a client");
                let listener = TcpListener::from_std(listener).expect("it listens");
                while let Ok((connection, _)) = listener.accept().await {
                    let (client, server, spoiling) =
                        (client.clone(), server.clone(), spoiling.clone());
                    tokio::spawn(
                        async move { serve(connection, &client, &server, &spoiling).await },
                    );
                }
            });
        });
        middlebox
    }

    /// Writes a kubeconfig of the operator that leads through the middlebox.
    pub fn kubeconfig(&self, organization: &Organization) -> PathBuf {
        let kubeconfig = organization
            .operators_kubeconfig()
            .replace(&self.server, &format!("http://127.0.0.1:{}", self.port));
        let kubeconfig: Vec<&str> =
            kubeconfig.lines().filter(|line| !line.contains("certificate-authority")).collect();
        let file = organization.file("middlebox.kubeconfig");
        std::fs::write(&file, kubeconfig.join("\n")).expect("the kubeconfig can be written");
        file
    }

    /// Spoils answers from now on, or doesn't any more.
    pub fn spoils(&self, fault: Option<(Fault, Scope)>) {
        *self.spoiling.lock().expect("no thread panics") = Spoilt { fault, answers: 0 };
    }

    /// Returns how many answers were spoilt in this way so far.
    pub fn spoilt(&self) -> u64 {
        self.spoiling.lock().expect("no thread panics").answers
    }
}

/// A request as it came.
struct Asked {
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Answers one request and closes the connection.
async fn serve(
    mut connection: TcpStream,
    client: &Client,
    server: &str,
    spoiling: &Spoiling,
) -> Option<()> {
    let asked = read(&mut connection).await?;
    let mut request = client
        .request(asked.method.clone(), format!("{server}{}", asked.target))
        .body(asked.body.clone());
    for (name, value) in asked.headers.iter().filter(|(name, _)| {
        !["host", "connection", "content-length", "accept-encoding"].contains(&name.as_str())
    }) {
        request = request.header(name, value);
    }
    let answer = request.send().await.ok()?;
    if asked.target.contains("watch=true") {
        stream(connection, answer, || fault_for(&asked, spoiling)).await
    } else {
        whole(connection, &asked, answer, fault_for(&asked, spoiling)).await
    }
}

async fn read(connection: &mut TcpStream) -> Option<Asked> {
    let mut text = vec![];
    let end = loop {
        if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if connection.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&text[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.parse().ok()?, first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok());
    let mut body = text.split_off(end);
    while body.len() < length.unwrap_or(0) {
        if connection.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { method, target, headers, body })
}

/// Passes an answer on as it comes, a line at a time.
async fn stream(
    mut connection: TcpStream,
    mut answer: Response,
    fault: impl Fn() -> Option<Fault>,
) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        answer.status()
    );
    connection.write_all(head.as_bytes()).await.ok()?;
    let mut waiting = vec![];
    while let Some(chunk) = answer.chunk().await.ok()? {
        waiting.extend_from_slice(&chunk);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let fault = fault();
            let line = fault.map_or(line.clone(), |fault| spoilt_line(&line[..end], fault));
            connection.write_all(&line).await.ok()?;
            if fault == Some(Fault::Closes) {
                return Some(());
            }
        }
    }
    Some(())
}

/// Returns a line of a watch as a middlebox makes it.
fn spoilt_line(line: &[u8], fault: Fault) -> Vec<u8> {
    let text = String::from_utf8_lossy(line).into_owned();
    let error = |status: serde_json::Value| {
        serde_json::json!({"type": "ERROR", "object": status}).to_string().into_bytes()
    };
    let mut spoilt = match fault {
        Fault::Status(code) => error(
            serde_json::json!({"status": "Failure", "message": text, "reason": "Expired", "code": code}),
        ),
        Fault::StatusReason => {
            error(serde_json::json!({"status": "Failure", "reason": text, "code": 500}))
        }
        Fault::Closes => return line[..line.len() / 2].to_vec(),
        _ => spoilt_body(line, fault),
    };
    spoilt.push(b'\n');
    spoilt
}

/// Returns a body as a middlebox makes it.
fn spoilt_body(body: &[u8], fault: Fault) -> Vec<u8> {
    let with = |what: &[u8]| [&body[..body.len() / 2], what, &body[body.len() / 2..]].concat();
    match fault {
        Fault::CutsBytes => body[..body.len().saturating_sub(3)].to_vec(),
        Fault::Garbage => with(b"\"}garbage{"),
        Fault::OtherForm => String::from_utf8_lossy(body)
            .replace("\"metadata\":{", "\"metadata\":{\"generation\":\"many\",")
            .replace("\"data\":{", "\"data\":{\"more\":\"!?\",")
            .into_bytes(),
        Fault::NotUtf8 => with(b"\xff\xfe"),
        Fault::Page | Fault::ErrorPage(_) => {
            [b"<html><pre>".as_slice(), body, b"</pre></html>"].concat()
        }
        _ => body.to_vec(),
    }
}

/// Passes an answer on once it is there.
async fn whole(
    mut connection: TcpStream,
    asked: &Asked,
    answer: Response,
    fault: Option<Fault>,
) -> Option<()> {
    let (mut status, mut kind) = (answer.status().to_string(), "application/json");
    let body = answer.bytes().await.ok()?.to_vec();
    let echo =
        || format!("{}\n{}", String::from_utf8_lossy(&asked.body), String::from_utf8_lossy(&body));
    let refusal = |code: u16, message: &str, reason: &str| {
        serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
            "details": {"name": message, "causes": [{"message": message}]},
        })
    };
    let mut spoilt = fault.map_or(body.clone(), |fault| spoilt_body(&body, fault));
    let mut length = spoilt.len();
    match fault {
        Some(Fault::TooLong) => length += 100,
        Some(Fault::TooShort) => length = length.saturating_sub(40),
        Some(Fault::WrongType | Fault::Page) => kind = "text/html",
        Some(Fault::ErrorPage(code)) => {
            (status, kind) = (format!("{code} Sorry"), "text/html");
            spoilt = spoilt_body(echo().as_bytes(), Fault::Page);
            length = spoilt.len();
        }
        Some(Fault::Status(code)) => {
            status = format!("{code} Sorry");
            spoilt = refusal(code, &echo(), "InternalError").to_string().into_bytes();
            length = spoilt.len();
        }
        Some(Fault::StatusReason) => {
            status = "500 Sorry".to_owned();
            spoilt = refusal(500, "", &echo()).to_string().into_bytes();
            length = spoilt.len();
        }
        Some(Fault::Closes) => spoilt.truncate(length / 2),
        _ => {}
    }
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(&[head.as_bytes(), &spoilt].concat()).await.ok()?;
    connection.shutdown().await.ok()
}
