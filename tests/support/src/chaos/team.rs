//! A team: the replicas of one organization's operator, two at a time, of which one works.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::chaos::faults::OfLeaders;
use crate::cluster::middlebox::Middlebox;
use crate::cluster::proxy::Proxy;
use crate::cluster::replica::{Pages, Replica};
use crate::cluster::{Organization, run, within};
use crate::postgres::Database;
use crate::rng::Dice;

/// How long another may take to work, while the database comes and goes.
const TAKEOVER: Duration = Duration::from_secs(90);

/// How long a leader may be waited for to be in the middle of a transaction.
const MIDDLE: Duration = Duration::from_secs(2);

/// A replica and its way to the API server.
struct Member {
    replica: Replica,
    proxy: Proxy,
    /// What the database knows it by.
    application: String,
}

/// The pages of the replicas that nothing has been done to.
pub type Roll = Arc<Mutex<Vec<Pages>>>;

/// The replicas of one operator, which works for one or several organizations.
pub struct Team {
    pub organization: Organization,
    /// Further organizations that it works for.
    pub others: Vec<Organization>,
    /// Who reads it learns which replicas should be well.
    pub roll: Roll,
    store: String,
    directory: String,
    /// What stands between the operator and the API server, where something does.
    middlebox: Option<Arc<Middlebox>>,
    members: Vec<Member>,
    /// How many ended without having been told to, because they came too late to renew the Lease.
    pub late: usize,
    /// How many leaders suffered something in the middle of a transaction of the database.
    pub in_the_middle: usize,
}

impl Team {
    /// Starts two replicas of an operator for several organizations, and waits until one works.
    #[track_caller]
    pub fn of(
        organization: Organization,
        others: Vec<Organization>,
        database: &Database,
        (directory, middlebox): (&Path, Option<Arc<Middlebox>>),
    ) -> Self {
        let directory = format!("rehearsal://{}", directory.display());
        let mut team = Self {
            organization,
            others,
            roll: Roll::default(),
            store: database.url(),
            directory,
            middlebox,
            members: vec![],
            late: 0,
            in_the_middle: 0,
        };
        team.complete();
        team.leader();
        team
    }

    /// Starts replicas until there are two. Each is known to the database by a name of its own.
    fn complete(&mut self) {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        while self.members.len() < 2 {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let proxy = match &self.middlebox {
                None => Proxy::start(&self.organization),
                Some(middlebox) => {
                    let kubeconfig =
                        std::fs::read_to_string(middlebox.kubeconfig(&self.organization));
                    Proxy::before(kubeconfig.expect("the kubeconfig can be read"))
                }
            };
            let kubeconfig = self.organization.file(&format!("proxy-{number}.kubeconfig"));
            std::fs::rename(proxy.kubeconfig(&self.organization), &kubeconfig)
                .expect("the kubeconfig can be renamed");
            let application = format!("member-{number}");
            let store = format!("{}?application_name={application}", self.store);
            let mut arguments = vec!["--directory", &self.directory];
            for organization in [&self.organization].into_iter().chain(&self.others) {
                arguments.extend(["--namespace", &organization.name]);
            }
            let replica = Replica::start_at(&self.organization, &kubeconfig, &store, &arguments);
            self.members.push(Member { replica, proxy, application });
        }
        self.enroll();
    }

    fn enroll(&self) {
        *self.roll.lock().expect("no thread panics") =
            self.members.iter().map(|member| member.replica.pages()).collect();
    }

    /// Waits until one works, and returns its place. Who came too late to renew the Lease is
    /// replaced.
    #[track_caller]
    fn leader(&mut self) -> usize {
        let namespace = self.organization.name.clone();
        let leader = within(TAKEOVER, || {
            self.replace_the_late();
            self.members
                .iter()
                .position(|member| member.replica.leads() && member.replica.is_ready())
        });
        leader.unwrap_or_else(|| {
            let logs: Vec<String> =
                self.members.iter().map(|member| member.replica.log()).collect();
            panic!("nobody works in {namespace} within {TAKEOVER:?}:\n{}", logs.join("\n\n"))
        })
    }

    #[track_caller]
    fn replace_the_late(&mut self) {
        let before = self.members.len();
        self.members.retain_mut(|member| {
            let runs = member.replica.runs();
            if !runs {
                check_gave_way(&mut member.replica);
            }
            runs
        });
        self.late += before - self.members.len();
        self.complete();
    }

    /// Lets whoever works do so for a while, does something to it, and waits until another works.
    #[track_caller]
    pub fn suffer(&mut self, fault: OfLeaders, dice: &mut Dice) {
        std::thread::sleep(dice.time(0..4000));
        let leader = self.leader();
        let mut member = self.members.remove(leader);
        self.enroll();
        // Few moments are in the middle of a transaction, and most that can go wrong goes wrong
        // there.
        self.in_the_middle +=
            usize::from(run(until_in_a_transaction(&self.store, &member.application)));
        match fault {
            OfLeaders::Killed => {
                member.replica.kill();
                self.complete();
                self.leader();
            }
            OfLeaders::Paused => {
                member.replica.signal("STOP");
                self.complete();
                self.leader();
                // Who has taken over is in the middle of something else each time.
                std::thread::sleep(dice.time(0..800));
                member.replica.signal("CONT");
                check_gave_way(&mut member.replica);
            }
            OfLeaders::CutOff => {
                member.proxy.cut();
                self.complete();
                check_gave_way(&mut member.replica);
                self.leader();
            }
        }
    }

    /// Kills the leader, has somebody write to the Lease that it held, and waits until another
    /// works.
    #[track_caller]
    pub fn has_its_lease_edited(&mut self, kill: bool, patch: &serde_json::Value) {
        let leader = self.leader();
        if kill {
            let mut member = self.members.remove(leader);
            self.enroll();
            member.replica.kill();
        }
        let namespaces = [&self.organization]
            .into_iter()
            .chain(&self.others)
            .map(|organization| organization.name.clone());
        let lease = roster::controller::leader_election::lease_name(&namespaces.collect());
        let patch = patch.to_string();
        let arguments = [
            "patch",
            "lease",
            &lease,
            "--namespace",
            "roster-system",
            "--type",
            "merge",
            "--patch",
            &patch,
        ];
        self.organization.kubectl(&arguments, "").expect_success();
        self.complete();
        self.leader();
    }

    /// Tells all replicas to end, and waits until they have.
    #[track_caller]
    pub fn stop(&mut self) {
        self.roll.lock().expect("no thread panics").clear();
        for mut member in self.members.drain(..) {
            if member.replica.runs() {
                member.replica.signal("TERM");
            }
            let code = member.replica.exit_code();
            assert!(
                matches!(code, Some(0 | 1)),
                "it ended with {code:?}:\n{}",
                member.replica.log()
            );
        }
    }

    /// Starts one replica with further arguments, after all were stopped.
    #[track_caller]
    pub fn start_one(&self, arguments: &[&str]) -> Replica {
        let mut all = vec!["--directory", self.directory.as_str()];
        for organization in [&self.organization].into_iter().chain(&self.others) {
            all.extend(["--namespace", &organization.name]);
        }
        all.extend(arguments);
        let kubeconfig = self.organization.file("alone.kubeconfig");
        std::fs::write(&kubeconfig, self.organization.operators_kubeconfig())
            .expect("the kubeconfig can be written");
        let store = format!("{}?application_name=alone", self.store);
        let replica = Replica::start_at(&self.organization, &kubeconfig, &store, &all);
        replica.until_it_works();
        replica
    }

    /// Waits until somebody works.
    #[track_caller]
    pub fn until_it_works(&mut self) {
        self.leader();
    }
}

/// Waits for the end of a replica that may not work any more, and expects that it says so.
#[track_caller]
fn check_gave_way(replica: &mut Replica) {
    let code = replica.exit_code();
    assert!(
        code == Some(1) && replica.says("lost leadership, exiting"),
        "it ended with {code:?}:\n{}",
        replica.log()
    );
}

/// Waits until somebody is in the middle of a transaction; the database may be away. Returns
/// whether they are.
async fn until_in_a_transaction(store: &str, application: &str) -> bool {
    let begun = Instant::now();
    let Ok(mut connection) = PgConnection::connect(store).await else { return false };
    let writes = "SELECT EXISTS (SELECT 1 FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) \
                  WHERE a.application_name = $1 AND l.locktype = 'transactionid' AND l.granted)";
    while begun.elapsed() < MIDDLE {
        match sqlx::query_scalar(writes).bind(application).fetch_one(&mut connection).await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(_) => return false,
        }
    }
    false
}
