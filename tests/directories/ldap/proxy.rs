//! A way to the server on which requests and replies get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What gets lost with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The request, so that the server doesn't carry it out.
    Request,
    /// The reply, so that the server did.
    Reply,
}

/// Forwards what comes, and cuts one connection.
pub(super) struct Proxy {
    port: u16,
    left: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts one that loses what comes with the n-th request, over all connections.
    pub(super) async fn start(server_port: u16, loss: Loss, nth: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicU64::new(nth));
        let counted = left.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server_port, loss, counted.clone()));
            }
        });
        Self { port, left }
    }

    /// Starts one that keeps every request with this text to itself, and answers nothing more on
    /// that connection.
    pub(super) async fn start_that_hangs(server_port: u16, text: &'static str) -> Self {
        Self::start_without(server_port, text, false).await
    }

    /// Starts one that hangs up over every request with this text.
    pub(super) async fn start_that_cuts(server_port: u16, text: &'static str) -> Self {
        Self::start_without(server_port, text, true).await
    }

    async fn start_without(server_port: u16, text: &'static str, cuts: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicU64::new(0));
        let counted = left.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward_without(client, server_port, (text, cuts), counted.clone()));
            }
        });
        Self { port, left }
    }

    /// Starts one that loses nothing, and counts.
    pub(super) async fn start_counting(server_port: u16) -> Self {
        Self::start(server_port, Loss::Request, u64::MAX).await
    }

    /// How many requests there were at one that counts.
    pub(super) fn count(&self) -> u64 {
        u64::MAX - self.left.load(Ordering::SeqCst)
    }

    /// How many requests were kept back.
    pub(super) fn kept(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether there were enough requests for the loss.
    pub(super) fn has_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// A client sends one request, and the next one after the reply.
async fn forward(mut client: TcpStream, server_port: u16, loss: Loss, left: Arc<AtomicU64>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    let (mut request, mut reply) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                let is_it = before == Ok(1);
                if is_it && loss == Loss::Request {
                    return;
                }
                if server.write_all(&request[..length]).await.is_err() {
                    return;
                }
                if is_it {
                    // The reply tells that it was carried out.
                    let _ = server.read(&mut reply).await;
                    return;
                }
            }
            read = server.read(&mut reply) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&reply[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn forward_without(
    mut client: TcpStream,
    server_port: u16,
    (text, cuts): (&str, bool),
    kept: Arc<AtomicU64>,
) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    let (mut request, mut reply) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                if request[..length].windows(text.len()).any(|part| part == text.as_bytes()) {
                    kept.fetch_add(1, Ordering::SeqCst);
                    // Until the client gives up.
                    while !cuts && matches!(client.read(&mut request).await, Ok(1..)) {}
                    return;
                }
                if server.write_all(&request[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut reply) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&reply[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
