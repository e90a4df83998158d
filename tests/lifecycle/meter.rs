//! A loopback proxy that lets so many requests through to directories and then none, as if the wire
//! was cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What becomes of the request at which the wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives, and its reply is lost.
    Done,
}

/// Counts what goes to any of its directories. A request is what a client writes at once.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Mutex<Wire>>);

#[derive(Default)]
struct Wire {
    /// How many more requests go through, if not all.
    left: Option<(usize, Fate)>,
    is_cut: bool,
    /// Both ends of the connections that there are.
    connections: Vec<TcpStream>,
}

impl Meter {
    /// Lets everything through.
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Starts a proxy before a directory; its thread lives as long as the tests.
    pub(crate) fn before(&self, upstream: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let meter = self.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                // Whoever can't be connected is turned away.
                let _ = meter.connect(client, upstream);
            }
        });
        address
    }

    /// Lets so many more requests through, and cuts the wire at the next.
    pub(crate) fn cut_after(&self, requests: usize, fate: Fate) {
        self.mend();
        self.wire().left = Some((requests, fate));
    }

    /// Cuts the wire now.
    pub(crate) fn cut(&self) {
        self.wire().cut();
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self) {
        let mut wire = self.wire();
        wire.cut();
        (wire.left, wire.is_cut) = (None, false);
    }

    /// Whether the wire is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.wire().is_cut
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("no thread panics")
    }

    fn connect(&self, client: TcpStream, upstream: SocketAddr) -> std::io::Result<()> {
        let mut wire = self.wire();
        if wire.is_cut {
            return Ok(());
        }
        let server = TcpStream::connect(upstream)?;
        wire.connections.extend([client.try_clone()?, server.try_clone()?]);
        let (requests, replies) = ((client.try_clone()?, server.try_clone()?), (server, client));
        let (meter, (answered, answers)) = (self.clone(), channel());
        std::thread::spawn(move || meter.forward_requests(requests.0, requests.1, &answers));
        std::thread::spawn(move || forward_replies(replies.0, replies.1, &answered));
        Ok(())
    }

    fn forward_requests(
        &self,
        mut client: TcpStream,
        mut server: TcpStream,
        answers: &Receiver<()>,
    ) {
        let mut request = vec![0; 1 << 20];
        while let Ok(length @ 1..) = client.read(&mut request) {
            let fate = {
                let mut wire = self.wire();
                if wire.is_cut {
                    break;
                }
                match &mut wire.left {
                    Some((0, fate)) => Some(*fate),
                    Some((left, _)) => {
                        *left -= 1;
                        None
                    }
                    None => None,
                }
            };
            match fate {
                Some(Fate::Lost) => return self.cut(),
                Some(Fate::Done) => {
                    // The client hears nothing of it, and the server has the time to do it.
                    let _ = client.shutdown(Shutdown::Both);
                    while answers.try_recv().is_ok() {}
                    let _ = server.write_all(&request[..length]);
                    let _ = answers.recv_timeout(Duration::from_secs(2));
                    return self.cut();
                }
                None if server.write_all(&request[..length]).is_err() => break,
                None => {}
            }
        }
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    }
}

/// Whoever asked may be gone; that a reply came is told all the same.
fn forward_replies(mut server: TcpStream, mut client: TcpStream, answered: &Sender<()>) {
    let mut reply = vec![0; 1 << 20];
    while let Ok(length @ 1..) = server.read(&mut reply) {
        let _ = client.write_all(&reply[..length]);
        let _ = answered.send(());
    }
    let _ = client.shutdown(Shutdown::Both);
}

impl Wire {
    fn cut(&mut self) {
        self.is_cut = true;
        self.connections.drain(..).for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
    }
}
