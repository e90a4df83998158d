//! The way to a server: with TLS, and without it on this machine alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use roster::provisioning::{Directory, DirectoryError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Act, Proxy, ScimServer, Somebody, entry, person};

/// Makes a CA and a certificate of it that is made out to `localhost`.
fn certificates(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=The CA of a test' -keyout ca.key -out ca.crt && \
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr && \
        printf 'subjectAltName=DNS:localhost\\nextendedKeyUsage=serverAuth\\n' >extensions && \
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt -extfile extensions";
    let made =
        Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("a shell runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (folder.join("ca.crt"), folder.join("server.crt"), folder.join("server.key"))
}

/// Takes TLS off what comes, and passes it on to a port. Returns its own port.
fn terminate(certificate: &Path, key: &Path, to: u16) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificates =
        CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = Arc::new(
        ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || pass(stream, config, to));
        }
    });
    port
}

/// Passes one request on, and its answer back.
fn pass(stream: TcpStream, config: Arc<ServerConfig>, to: u16) -> Option<()> {
    let mut inside = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut outside = TcpStream::connect(("127.0.0.1", to)).ok()?;
    let mut request = vec![];
    let mut some = [0; 1 << 14];
    loop {
        let read = inside.read(&mut some).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |it| it.parse().unwrap());
            if body.len() >= length {
                break;
            }
        }
    }
    outside.write_all(&request).ok()?;
    let mut answer = vec![];
    outside.read_to_end(&mut answer).ok()?;
    inside.write_all(&answer).ok()?;
    inside.conn.send_close_notify();
    inside.flush().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_by_its_ca_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, certificate, key) = certificates(folder.path());
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let port = terminate(&certificate, &key, proxy.port());
    let token = proxy.token_file().display().to_string();
    let alice = entry("private", person("private", "alice"));

    let trusted = format!(
        "scim+https://localhost:{port}/v2?token-file={token}&ca-file={}",
        authority.display()
    );
    Directory::open(&trusted).unwrap().provision(&alice).await.unwrap();
    assert_eq!(Somebody::at(&server).entries_of(&alice).await.len(), 1);

    let unknown = format!("scim+https://localhost:{port}/v2?token-file={token}");
    let other_name = format!(
        "scim+https://127.0.0.1:{port}/v2?token-file={token}&ca-file={}",
        authority.display()
    );
    proxy.forget();
    for (address, words) in [(unknown, "UnknownIssuer"), (other_name, "not valid for name")] {
        let error = Directory::open(&address).unwrap().provision(&alice).await.unwrap_err();
        assert!(
            matches!(&error, DirectoryError::Unreachable(why) if why.contains(words)),
            "{error}"
        );
    }
    assert_eq!(proxy.all().len(), 0);
}

#[test]
fn an_address_that_is_not_right_is_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.pem");
    std::fs::write(&bad, "no certificate").unwrap();
    let bad_authority =
        format!("scim+https://idp.acme.example/v2?token-file=/token&ca-file={}", bad.display());
    for (address, words) in [
        ("scim+http://idp.acme.example/v2?token-file=/token", "scim+https://"),
        ("scim+http://10.0.0.1/v2?token-file=/token", "this machine"),
        ("scim+https://idp.acme.example/v2", "token-file"),
        ("scim+https://idp.acme.example/v2?token-file=/token&passwords=all", "passwords"),
        ("scim+https://idp.acme.example/v2?token-file=/token&colour=red", "colour"),
        (
            "scim+https://idp.acme.example/v2?token-file=/token&ca-file=/nowhere/ca.pem",
            "/nowhere/ca.pem",
        ),
        (&bad_authority, "bad.pem"),
    ] {
        let error = Directory::open(address).unwrap_err();
        assert!(
            matches!(&error, DirectoryError::Configuration(why) if why.contains(words)),
            "{address}: {error}"
        );
    }
    for address in [
        "scim+http://localhost:8080/?token-file=/token",
        "scim+http://[::1]:8080/v2?token-file=/token",
    ] {
        Directory::open(address).unwrap();
    }
}
