//! A loopback proxy before the API server that can be cut.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::Organization;

/// A loopback proxy; TLS goes through as bytes.
pub struct Proxy {
    address: SocketAddr,
    upstream: SocketAddr,
    /// The kubeconfig that leads to the server itself.
    kubeconfig: String,
    /// Both ends of every connection; nothing while it is cut.
    connections: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Proxy {
    /// Starts a proxy before the API server; its thread lives as long as the tests.
    pub fn start(organization: &Organization) -> Self {
        Self::before(organization.operators_kubeconfig())
    }

    /// Starts a proxy before the server that a kubeconfig names.
    pub fn before(kubeconfig: String) -> Self {
        let upstream = kubeconfig
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: http"))
            .expect("a server");
        let upstream =
            upstream.trim_start_matches('s').trim_start_matches("://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let connections = Arc::new(Mutex::new(Some(vec![])));
        let proxy = Self { address, upstream, kubeconfig, connections: connections.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                // Whoever can't be connected is turned away.
                let _ = connect(client, upstream, &connections);
            }
        });
        proxy
    }

    /// Writes a kubeconfig of the operator that leads through the proxy.
    pub fn kubeconfig(&self, organization: &Organization) -> PathBuf {
        let kubeconfig =
            self.kubeconfig.replace(&self.upstream.to_string(), &self.address.to_string());
        let file = organization.file("proxy.kubeconfig");
        std::fs::write(&file, kubeconfig).expect("the kubeconfig can be written");
        file
    }

    /// Cuts every connection, and turns new ones away.
    pub fn cut(&self) {
        let connections = self.connections.lock().expect("no thread panics").take();
        connections
            .into_iter()
            .flatten()
            .for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        self.connections.lock().expect("no thread panics").get_or_insert_default();
    }
}

fn connect(
    client: TcpStream,
    upstream: SocketAddr,
    connections: &Mutex<Option<Vec<TcpStream>>>,
) -> io::Result<()> {
    let mut connections = connections.lock().expect("no thread panics");
    let Some(connections) = connections.as_mut() else { return Ok(()) };
    let server = TcpStream::connect(upstream)?;
    connections.extend([client.try_clone()?, server.try_clone()?]);
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        std::thread::spawn(move || forward(from, to));
    }
    Ok(())
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    // A connection that ends on one side ends on the other.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
