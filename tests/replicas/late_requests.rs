//! What an operator sent, or was about to send, to a directory when another took over from it:
//! nobody gets in by it whom the status calls disabled. On slapd and on a SCIM server, with the
//! operators as processes that are paused and killed.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ldap3::LdapConnAsync;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Organization, condition, domain, eventually, group, passed, run, within,
};
use roster_test_support::postgres::Database;
use roster_test_support::scim_server::ScimServer;
use roster_test_support::slapd;
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::serving::{Serving, declared};

const PASSWORD: &str = "nine lorries leave at dawn";

/// How long a request that was left without an answer may take until the directory carries it out,
/// and somewhat more.
const LATE: Duration = Duration::from_secs(90);

/// How long a directory is left alone at most that has failed once or twice: an operator that was
/// paused since then brings it something as soon as it goes on, unless it looks first whether it
/// still may.
const FIRST_RESTS: Duration = Duration::from_secs(4);

fn sets_state(organization: &Organization, name: &str, state: &str) {
    passed(organization.admin().patch("User", name, &json!({"spec": {"state": state}})));
}

fn alice(organization: &Organization) -> Value {
    organization.admin().get("User", "alice").expect("alice is declared")
}

/// Whether a `User`'s status says of what is declared now that it is disabled.
fn is_disabled_by_status(user: &Value) -> bool {
    user["status"]["state"] == "Disabled"
        && user["status"]["observedGeneration"] == user["metadata"]["generation"]
}

/// Whether slapd lets dave in.
fn binds(slapd: &slapd::Server, organization: &Organization) -> bool {
    let dn = format!("uid=dave.{},ou=people,{}", organization.name, slapd::BASE);
    let address = format!("ldap://127.0.0.1:{}", slapd.port());
    run(async {
        let (connection, mut ldap) = LdapConnAsync::new(&address).await.expect("slapd listens");
        ldap3::drive!(connection);
        ldap.simple_bind(&dn, PASSWORD).await.expect("slapd answers").rc == 0
    })
}

#[test]
fn who_was_replaced_while_slapd_was_down_lets_nobody_in_once_it_is_up_again() {
    let (database, slapd) = (run(Database::new()), slapd::Server::start());
    let home = Serving::of(CLUSTER.organization(), database.url());
    let start = |organization: &Organization, more: &[&str]| {
        Replica::start(
            organization,
            &database.url(),
            &[&["--directory", &slapd.url()], more].concat(),
        )
    };
    let mut former = start(&home.organization, &[]);
    former.until_it_works();
    home.found_organization();
    home.put_password("dave", PASSWORD);
    home.hire(&["dave"]);
    eventually("dave gets in", || binds(&slapd, &home.organization).then_some(()));
    sets_state(&home.organization, "dave", "Disabled");
    home.until_ready(&["dave"]);
    assert!(!binds(&slapd, &home.organization));
    let away = home.organization.in_another_cluster();
    let moved = Serving::of(away, database.url());
    moved.create(&domain("acme.example"));
    moved.create(&group("drivers"));
    moved.put_password("dave", PASSWORD);
    let mut disabled = declared("dave");
    disabled["spec"]["state"] = json!("Disabled");
    moved.create(&disabled);
    // The store has him enabled, and the former operator waits to bring that to slapd.
    slapd.kill();
    sets_state(&home.organization, "dave", "Enabled");
    let waits = |dave: &Value| condition(dave, "Ready")["reason"] == "DirectoryUnavailable";
    home.organization.until("User", "dave", "waiting for slapd", waits);
    // It doesn't learn in time that another has taken over, and its rest is over when it goes on.
    former.signal("STOP");
    let paused = Instant::now();
    let next = start(&moved.organization, &["--accept-cluster"]);
    next.until_it_works();
    slapd.resume();
    moved
        .organization
        .until("User", "dave", "taken over", |dave| dave["status"]["accountId"].is_string());
    let disabling = ["Disabling", "Disabled"];
    let is_told = |dave: &Value| disabling.iter().any(|state| dave["status"]["state"] == *state);
    moved.organization.until("User", "dave", "disabled by the one that took over", is_told);
    std::thread::sleep(FIRST_RESTS.saturating_sub(paused.elapsed()));
    former.signal("CONT");
    println!("the former operator was paused for {:?}", paused.elapsed());
    let begun = Instant::now();
    while former.runs() || begun.elapsed() < Duration::from_secs(5) {
        assert!(
            !binds(&slapd, &moved.organization),
            "dave gets in {:?} after the former went on",
            begun.elapsed()
        );
        assert!(begun.elapsed() < LATE, "the former operator goes on: {}", former.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!binds(&slapd, &moved.organization));
    assert_eq!(former.exit_code(), Some(1));
    println!("the former operator ended: {:?}", former.last("error"));
}

/// A way to a SCIM server on which one request is held, as by a gateway that hangs, and goes on
/// when it is let go, whoever has given up waiting for it.
struct Gateway {
    port: u16,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Gate {
    #[default]
    Open,
    /// The next request that lets somebody in is held.
    Armed,
    Holds,
    /// What was held has been carried out.
    LetGo,
    Done,
}

impl Gateway {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let gate = Arc::new((Mutex::new(Gate::Open), Condvar::new()));
        let shared = gate.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let gate = shared.clone();
                std::thread::spawn(move || pass(client, server, &gate));
            }
        });
        Self { port, gate }
    }

    fn is(&self, wanted: Gate) -> bool {
        *self.gate.0.lock().unwrap() == wanted
    }

    fn set(&self, gate: Gate) {
        *self.gate.0.lock().unwrap() = gate;
        self.gate.1.notify_all();
    }
}

/// Passes one request on, and what is answered back.
fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    (gate, changed): &(Mutex<Gate>, Condvar),
) -> Option<()> {
    let request = read_request(&mut client)?;
    let text = String::from_utf8_lossy(&request);
    let lets_in = !text.starts_with("GET") && text.contains("\"active\"") && text.contains("true");
    let mut held = gate.lock().unwrap();
    let is_held = lets_in && *held == Gate::Armed;
    if is_held {
        *held = Gate::Holds;
        held = changed.wait_while(held, |gate| *gate == Gate::Holds).unwrap();
    }
    drop(held);
    let mut upstream = TcpStream::connect(server).ok()?;
    let alone = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    // Many a server doesn't know versions, by which another one would refuse what comes late.
    upstream.write_all(without_header(&alone, "if-match").as_bytes()).ok()?;
    let mut answer = vec![];
    upstream.read_to_end(&mut answer).ok()?;
    if is_held {
        *gate.lock().unwrap() = Gate::Done;
    }
    client.write_all(&answer).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

fn without_header(request: &str, name: &str) -> String {
    let is_other = |line: &&str| !line.to_lowercase().starts_with(&format!("{name}:"));
    request.split("\r\n").filter(is_other).collect::<Vec<_>>().join("\r\n")
}

/// Reads a request with its body.
fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut part) = (vec![], [0; 65536]);
    loop {
        let read = client.read(&mut part).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return Some(bytes);
        }
    }
}

/// Whether alice is active in the SCIM server.
fn is_active(server: &ScimServer) -> bool {
    let users = format!("http://127.0.0.1:{}/v2/Users?count=100", server.port());
    let found: Value = run(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer =
            client.get(users).bearer_auth(server.token()).send().await.expect("it answers");
        serde_json::from_str(&answer.text().await.expect("it answers whole"))
            .expect("it answers with JSON")
    });
    let all = found["Resources"].as_array().expect("a list");
    let alice = all
        .iter()
        .find(|user| user["userName"].as_str().is_some_and(|name| name.starts_with("alice.")));
    alice.expect("alice has an entry")["active"] == true
}

/// It takes as long as the operator waits for what may still arrive: about a minute.
#[test]
fn what_a_killed_operator_sent_undoes_no_disable_that_its_successor_confirmed() {
    let (organization, scim) = (CLUSTER.organization(), ScimServer::start());
    let gateway = Gateway::before(SocketAddr::from(([127, 0, 0, 1], scim.port())));
    let url =
        scim.address().replacen(&format!(":{}/", scim.port()), &format!(":{}/", gateway.port), 1);
    let store = format!("sqlite://{}?mode=rwc", organization.file("roster.db").display());
    let serving = Serving::of(organization, store);
    let start = || Replica::start(&serving.organization, &serving.store, &["--directory", &url]);
    let mut former = start();
    former.until_it_works();
    serving.found_organization();
    let mut alice_disabled = declared("alice");
    alice_disabled["spec"]["state"] = json!("Disabled");
    serving.create(&alice_disabled);
    serving.until_ready(&["alice"]);
    assert!(!is_active(&scim));
    gateway.set(Gate::Armed);
    sets_state(&serving.organization, "alice", "Enabled");
    eventually("the gateway holds what lets alice in", || gateway.is(Gate::Holds).then_some(()));
    former.kill();
    sets_state(&serving.organization, "alice", "Disabled");
    let next = start();
    next.until_it_works();
    let begun = Instant::now();
    // Time enough for a Disable that nothing stands against to be confirmed.
    let says_disabled =
        || is_disabled_by_status(&alice(&serving.organization)).then(|| begun.elapsed());
    let told = within(Duration::from_secs(8), says_disabled);
    println!("before the late request the status said Disabled: {told:?}");
    gateway.set(Gate::LetGo);
    eventually("the late request is carried out", || gateway.is(Gate::Done).then_some(()));
    let (mut was_active, mut confirmed) = (None, None);
    while confirmed
        .is_none_or(|confirmed: Duration| begun.elapsed() < confirmed + Duration::from_secs(3))
    {
        let before = alice(&serving.organization);
        let is_active = is_active(&scim);
        let after = alice(&serving.organization);
        let says_so = is_disabled_by_status(&after) && before == after;
        assert!(
            !(is_active && says_so),
            "{:?} after the start alice is active, and the status: {}",
            begun.elapsed(),
            after["status"]
        );
        assert!(begun.elapsed() < LATE, "it isn't confirmed yet: {}", after["status"]);
        was_active = was_active.or(is_active.then(|| begun.elapsed()));
        confirmed = confirmed.or((says_so && !is_active).then(|| begun.elapsed()));
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "alice was active {was_active:?} after the start, and confirmed to be disabled after {confirmed:?}"
    );
    assert!(was_active.is_some(), "the request was carried out");
}
