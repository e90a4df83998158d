//! A server that records what it is asked and does as a test tells it: it passes on, answers by
//! itself, or misbehaves.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::ScimServer;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below the base, such as `/Users/7`, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Asked {
    /// Whether it is of a kind such as `PATCH /Users`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        format!("{} {}/", self.method, self.path).starts_with(&format!("{kind}/"))
    }
}

/// What a proxy does about it.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Lets the server answer.
    Pass,
    /// Lets the server answer another query.
    PassQuery(String),
    /// Lets somebody else write before: the path and the operations of a PATCH.
    PassAfter(String, Value),
    /// Lets the server answer something else that it is told.
    PassBody(Value),
    /// Lets the server answer, and changes the answer.
    PassAltered(fn(&mut Value)),
    /// Lets the server do it, and loses the answer.
    Lose,
    /// Lets the server do it, and says something else.
    PassAndAnswer(u16),
    /// Answers by itself, with these headers.
    Answer(u16, Vec<String>, Vec<u8>),
    /// Answers a part of what it announces.
    HalfAnswer(Vec<u8>),
    /// Never answers.
    Hang,
    /// Never stops answering.
    Endless,
    /// Closes the connection.
    Close,
}

impl Act {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(
            status,
            vec!["Content-Type: application/scim+json".to_owned()],
            body.to_string().into_bytes(),
        )
    }
}

type Script = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

/// A proxy; it goes with the runtime of its test.
pub(crate) struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    at_once: Arc<AtOnce>,
    folder: tempfile::TempDir,
}

/// How many requests are under way, and how many were at most.
#[derive(Default)]
struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Proxy {
    /// Starts one before a server.
    pub(crate) async fn before(
        server: &Arc<ScimServer>,
        script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(server.clone()), Box::new(script)).await
    }

    /// Starts one that has no server behind it.
    pub(crate) async fn alone(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(script)).await
    }

    /// Starts one before a server that says of itself what it can do.
    pub(crate) async fn with_abilities(server: &Arc<ScimServer>, abilities: Value) -> Self {
        Self::before(server, move |asked| {
            if asked.is("GET /ServiceProviderConfig") {
                Act::json(200, &abilities)
            } else {
                Act::Pass
            }
        })
        .await
    }

    async fn start(server: Option<Arc<ScimServer>>, script: Script) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "token-of-a-test\n").unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let behind = server.map(|server| Behind {
            server,
            client: Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
        });
        let at_once = Arc::new(AtOnce::default());
        let serving =
            Arc::new(Serving { asked: asked.clone(), at_once: at_once.clone(), script, behind });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Self { port, asked, at_once, folder }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Returns its address, as roster is given it.
    pub(crate) fn address(&self) -> String {
        format!("scim+http://127.0.0.1:{}/v2?token-file={}", self.port, self.token_file().display())
    }

    /// Returns what was asked of a kind such as `PATCH /Users`.
    pub(crate) fn asked(&self, kind: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.is(kind)).cloned().collect()
    }

    /// Returns everything that was asked.
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns what was asked that changes something.
    pub(crate) fn writes(&self) -> Vec<Asked> {
        self.all().into_iter().filter(|asked| asked.method != "GET").collect()
    }

    /// Returns how many requests were under way at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.at_once.most.load(Ordering::Relaxed)
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }
}

impl AtOnce {
    fn begin(&self) -> UnderWay<'_> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        UnderWay(self)
    }
}

struct UnderWay<'a>(&'a AtOnce);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Serving {
    asked: Arc<Mutex<Vec<Asked>>>,
    at_once: Arc<AtOnce>,
    script: Script,
    behind: Option<Behind>,
}

impl Serving {
    /// Serves one request of a connection.
    async fn serve(&self, mut stream: TcpStream) {
        let Some((asked, body)) = read(&mut stream).await else { return };
        self.asked.lock().unwrap().push(asked.clone());
        let under_way = self.at_once.begin();
        let (status, headers, body) = match (self.script)(&asked) {
            Act::Pass => self.behind().pass(&asked, body).await,
            Act::PassQuery(query) => self.behind().pass(&Asked { query, ..asked }, body).await,
            Act::PassAfter(path, operations) => {
                super::Somebody::at(&self.behind().server).patch(&path, operations).await;
                self.behind().pass(&asked, body).await
            }
            Act::PassBody(body) => self.behind().pass(&asked, body.to_string().into_bytes()).await,
            Act::PassAltered(alter) => {
                let (status, headers, body) = self.behind().pass(&asked, body).await;
                let altered = serde_json::from_slice(&body).map(|mut answer| {
                    alter(&mut answer);
                    answer.to_string().into_bytes()
                });
                (status, headers, altered.unwrap_or(body))
            }
            Act::Lose => {
                self.behind().pass(&asked, body).await;
                return;
            }
            Act::PassAndAnswer(status) => {
                self.behind().pass(&asked, body).await;
                (status, vec![], vec![])
            }
            Act::Answer(status, headers, body) => (status, headers, body),
            Act::HalfAnswer(body) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() * 2);
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
                return;
            }
            Act::Hang => return std::future::pending().await,
            Act::Endless => {
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"totalResults\":0,\"x\":\"").await;
                while stream.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
                return;
            }
            Act::Close => return,
        };
        // Whoever has the answer may ask the next.
        drop(under_way);
        let length = if status == 204 {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head =
            format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n{length}{headers}\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    }

    fn behind(&self) -> &Behind {
        self.behind.as_ref().expect("a server is behind")
    }
}

struct Behind {
    server: Arc<ScimServer>,
    client: Client,
}

impl Behind {
    async fn pass(&self, asked: &Asked, body: Vec<u8>) -> (u16, Vec<String>, Vec<u8>) {
        let query =
            if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
        let url = format!("http://127.0.0.1:{}/v2{}{query}", self.server.port(), asked.path);
        let mut request = self
            .client
            .request(Method::from_bytes(asked.method.as_bytes()).unwrap(), url)
            .bearer_auth(self.server.token());
        for line in asked.head.lines().filter(|line| line.to_lowercase().starts_with("if-match:")) {
            request = request.header("If-Match", line.split_once(':').unwrap().1.trim());
        }
        if !body.is_empty() {
            request = request.header("Content-Type", "application/scim+json").body(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get("Location")
            .map(|place| format!("Location: {}", place.to_str().unwrap()));
        (status, location.into_iter().collect(), response.bytes().await.unwrap().to_vec())
    }
}

/// Reads a request with its body.
async fn read(stream: &mut TcpStream) -> Option<(Asked, Vec<u8>)> {
    let mut bytes = vec![];
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head.lines().find_map(|line| {
        line.to_lowercase().strip_prefix("content-length:").map(|it| it.trim().parse().unwrap())
    });
    while bytes.len() < end + length.unwrap_or(0) {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = bytes[end..].to_vec();
    let mut first = head.lines().next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix("/v2").unwrap_or(path).to_owned();
    let body_json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some((Asked { method, path, query: query.to_owned(), head, body: body_json }, body))
}
