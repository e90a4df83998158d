//! The soak itself: organizations, teams and lanes are started, and everything is judged once
//! faults stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use roster::store::sql::SqlStore;
use roster_test_support::chaos::content::Content;
use roster_test_support::chaos::driver::{Driver, PASSWORDS, Past};
use roster_test_support::chaos::end::{billed, directory, months, read, rows, versions};
use roster_test_support::chaos::oracles::{self, Billable, Declared};
use roster_test_support::chaos::team::Team;
use roster_test_support::chaos::write_audit::Witness;
use roster_test_support::cluster::middlebox::Middlebox;
use roster_test_support::cluster::{Organization, eventually, run, run_roster, within};
use roster_test_support::needles::{self, Places};
use roster_test_support::postgres::{Database, Server};
use roster_test_support::rng::{Dice, number_from, seed};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::applications;
use crate::clocks::Clocks;
use crate::lanes::{self, again};
use crate::ledger::{Ledger, PATIENCE};
use crate::left_behind::LeftBehind;
use crate::namespace::{Going, RELEASED};
use crate::neighbour::Neighbour;
use crate::newer::Newer;
use crate::observer::Observer;
use crate::quiet::Quiet;
use crate::remembering::Remembering;
use crate::rules::{self, BOUND};
use crate::sampler::{Sampler, Watched, held};

/// For how many seconds there are faults, unless `ROSTER_SOAK` says something else.
const SECONDS: u64 = 30;

/// How often everything is compared once faults have stopped.
const RESYNC: Duration = Duration::from_secs(2);

/// The organizations beside those of the teams.
struct Others {
    quiet: Organization,
    scene: Organization,
    going: Organization,
    neighbour: Organization,
}

/// What lanes are about, beside the teams and their drivers.
struct Beside<'a> {
    others: &'a Others,
    neighbour: &'a Neighbour<'a>,
    clocks: Clocks<'a>,
    middlebox: &'a Middlebox,
    remembering: Option<Remembering<'a>>,
}

/// Whether a lane is wanted.
fn wanted(lane: &str) -> bool {
    std::env::var("ROSTER_SOAK_ONLY")
        .map_or(true, |only| only.is_empty() || only.split(',').any(|one| one == lane))
}

/// Returns a database on a server of its own, with a store, a witness, and an application's role.
fn witnessed() -> Database {
    let database = run(async {
        let database = Database::on(&Server::start()).await;
        SqlStore::open(&database.url()).await.expect("the store can be made").close().await;
        let mut connection = database.connect().await;
        Witness::install(&mut connection).await;
        let pause = format!("ALTER DATABASE {} SET witness.pause = '0.005'", database.name());
        sqlx::raw_sql(sqlx::AssertSqlSafe(pause))
            .execute(&mut connection)
            .await
            .expect("the superuser may");
        database
    });
    applications::admit(&database);
    database
}

/// Everything that a run is about.
struct Run {
    seconds: u64,
    dice: Dice,
    ledger: Ledger,
    past: Past,
    database: Database,
    folder: PathBuf,
    observer: Observer,
}

#[test]
fn everything_at_once_leaves_nobody_with_more_or_less_than_is_declared() {
    let (seed, seconds) = (seed(), number_from("ROSTER_SOAK").unwrap_or(SECONDS));
    println!("ROSTER_SOAK={seconds} ROSTER_SEED={seed}");
    let dice = Dice::new(seed);
    let database = witnessed();
    let [first, second, clock, alone] = [(); 4].map(|()| CLUSTER.organization());
    let [quiet, scene, going, neighbour] = [(); 4].map(|()| CLUSTER.organization());
    let names = |organizations: &[&Organization]| {
        organizations.iter().map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    let namespaces = [names(&[&first]), names(&[&second, &quiet, &scene, &going, &neighbour])];
    let folder = first.file("directory");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let observer =
        Observer::start(first.admin().client(), namespaces.concat().into_iter().collect());
    let run = Run {
        seconds,
        dice,
        ledger: Ledger::new(),
        past: Past::new(0),
        database,
        folder,
        observer,
    };
    let people = if seconds < 600 { 24 } else { 120 };
    Quiet::declare(&quiet);
    LeftBehind::declare(&scene);
    Newer::declare(&scene);
    Neighbour::declare(&neighbour, people);

    let beside = [quiet, scene, going, neighbour].map(|one| CLUSTER.organization_named(&one.name));
    let others = namespaces[1][1..].iter().map(|name| CLUSTER.organization_named(name)).collect();
    let [quiet, scene, going, neighbour] = beside;
    let others_of_the_second = Others { quiet, scene, going, neighbour };
    let middlebox = Arc::new(Middlebox::start(&first));
    let mut teams = [
        Team::of(first, vec![], &run.database, (&run.folder, Some(middlebox.clone()))),
        Team::of(second, others, &run.database, (&run.folder, None)),
    ];
    let mut drivers: Vec<Driver> = (0..)
        .zip(&teams)
        .map(|(number, team)| {
            Driver::new(&team.organization, &run.database.url(), run.dice.split(number))
        })
        .collect();
    let watched = teams.iter().zip(&namespaces).map(|(team, namespaces)| Watched {
        roll: team.roll.clone(),
        namespaces: namespaces.clone(),
    });
    let sampler = Sampler {
        ledger: &run.ledger,
        observer: &run.observer,
        database: &run.database,
        teams: watched.collect(),
        controlled: BTreeSet::new(),
    };
    let neighbour =
        Neighbour { organization: &others_of_the_second.neighbour, ledger: &run.ledger, people };
    let everybody: Vec<String> = namespaces.concat();
    run.until_settled(&mut drivers, &everybody);
    let controlled = everybody
        .iter()
        .filter(|name| **name != others_of_the_second.going.name)
        .cloned()
        .collect();
    let sampler = Sampler { controlled, ..sampler };
    let remembering = wanted("etcd").then(|| Remembering::start(alone, &run.ledger));
    let clocks = Clocks::new(&clock, &run.ledger);
    // What is declared for good is in the first copy.
    teams[0].organization.save_etcd();
    let beside = Beside {
        others: &others_of_the_second,
        neighbour: &neighbour,
        clocks,
        middlebox: &middlebox,
        remembering,
    };
    run.suffer(&mut teams, &mut drivers, beside, &sampler);

    teams.iter_mut().for_each(Team::until_it_works);
    let past = *run.past.read().unwrap_or_else(PoisonError::into_inner);
    drivers.iter_mut().for_each(|driver| driver.catch_up(past));
    neighbour.calm();
    run.judge(&mut teams, &mut drivers, &everybody, &others_of_the_second);
    let changes = drivers.iter().map(Driver::changes).sum();
    let content = roster_test_support::cluster::run(read(&run.database));
    let witnessed = &content.witness;
    run.ledger.print(
        seconds,
        &[
            ("changes by drivers", changes),
            ("changes that were watched", run.observer.seen().events),
            ("accounts that lived", content.lifetimes.len()),
            ("transactions", content.journal.len()),
            ("rows written", witnessed.writes.len()),
            ("claims", witnessed.claims.len()),
            (
                "replicas that ended because they were too late",
                teams.iter().map(|team| team.late).sum(),
            ),
            (
                "leaders hit in the middle of a transaction",
                teams.iter().map(|team| team.in_the_middle).sum(),
            ),
        ],
    );
    let complaints = run.ledger.complaints();
    assert!(
        complaints.is_empty(),
        "ROSTER_SOAK={seconds} ROSTER_SEED={seed}:\n{}",
        complaints.join("\n")
    );
}

impl Run {
    /// Has everything happen at once.
    fn suffer(
        &self,
        teams: &mut [Team; 2],
        drivers: &mut [Driver],
        Beside { others, neighbour, clocks, middlebox, remembering }: Beside<'_>,
        sampler: &Sampler<'_>,
    ) {
        let (ledger, database, past) = (&self.ledger, &self.database, &self.past);
        let (stop, sampled) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let longest = Duration::from_secs(if self.seconds < 300 { 8 } else { 60 });
        let quiet = Quiet { organization: &others.quiet, database, ledger, team: 1 };
        let left_behind = LeftBehind { organization: &others.scene, database, ledger };
        let newer = Newer { organization: &others.scene, database, ledger, team: 1 };
        let going = Going { organization: &others.going, database, ledger };
        let name = teams[0].organization.name.clone();
        std::thread::scope(|scope| {
            let sampling = scope.spawn(|| sampler.run(sampled));
            let mut lanes = vec![];
            for driver in drivers {
                lanes.push(scope.spawn(move || driver.drive(stop, past)));
            }
            let mut dice = self.dice.split(900);
            lanes.push(scope.spawn(move || quiet.edit(stop, past, &mut dice)));
            let strikes: Vec<(&str, std::ops::Range<u64>, Strike<'_>)> = vec![
                ("left-behind", 0..8000, Box::new(|number, dice| left_behind.strike(number, dice))),
                ("newer", 0..6000, Box::new(|_, dice| newer.strike(dice))),
                ("namespace", 0..10_000, Box::new(|_, dice| going.strike(dice))),
                ("neighbour", 0..4000, Box::new(|_, dice| neighbour.strike(dice))),
                (
                    "applications",
                    0..4000,
                    Box::new(|_, dice| applications::strike(database, ledger, longest, dice)),
                ),
                (
                    "database",
                    1000..6000,
                    Box::new(|_, dice| lanes::database(ledger, database, dice)),
                ),
                ("answers", 0..4000, Box::new(|_, dice| lanes::answers(ledger, middlebox, dice))),
                ("clocks", 0..20_000, Box::new(|number, dice| clocks.strike(number, dice))),
            ];
            for (number, (name, pause, strike)) in (1000..).zip(strikes) {
                if wanted(name) {
                    lanes.push(start(scope, stop, past, self.dice.split(number), pause, strike));
                }
            }
            if wanted("leaders") {
                for (number, team) in (0..).zip(teams.iter_mut()) {
                    let mut dice = self.dice.split(2000 + number);
                    lanes.push(scope.spawn(move || {
                        while lanes::waits(stop, dice.time(0..3000)) {
                            lanes::leader(ledger, team, past, &mut dice);
                        }
                    }));
                }
            }
            if wanted("etcd") {
                let (mut dice, organization) =
                    (self.dice.split(3000), CLUSTER.organization_named(&name));
                let half = self.seconds * 500;
                let remembering = remembering.as_ref().expect("it was started");
                lanes.push(scope.spawn(move || {
                    while lanes::waits(stop, dice.time(half.min(30_000)..half.min(120_000) + 1)) {
                        remembering.before();
                        lanes::put_etcd_back(ledger, &organization, &self.observer, past);
                        remembering.after();
                    }
                }));
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(self.seconds)
                && !lanes.iter().any(ScopedJoinHandle::is_finished)
            {
                std::thread::sleep(Duration::from_millis(100));
            }
            stop.store(true, Ordering::Relaxed);
            ledger.tell("faults stop");
            let ended: Vec<_> = lanes.into_iter().map(ScopedJoinHandle::join).collect();
            sampled.store(true, Ordering::Relaxed);
            for ended in ended.into_iter().chain([sampling.join()]) {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
    }

    /// Waits until everybody is as declared, and returns what is.
    fn until_settled(&self, drivers: &mut [Driver], namespaces: &[String]) -> Vec<Declared> {
        drivers.iter_mut().for_each(|driver| drop(driver.settled()));
        let driven: BTreeSet<String> =
            drivers.iter().map(|driver| driver.namespace().to_owned()).collect();
        let others = namespaces.iter().filter(|name| !driven.contains(*name));
        let mut declared: Vec<Declared> = others.flat_map(|name| self.settled(name)).collect();
        declared.extend(drivers.iter_mut().flat_map(Driver::settled));
        declared
    }

    /// Waits until everybody in a namespace that has no driver is Ready, and returns them.
    fn settled(&self, namespace: &str) -> Vec<Declared> {
        let organization = CLUSTER.organization_named(namespace);
        let list = || {
            let users =
                run(organization.admin().api::<roster::api::User>().list(&Default::default()))
                    .expect("the API server answers");
            let declared = |user| Declared {
                namespace: namespace.to_owned(),
                user: serde_json::to_value(user).expect("an object is JSON"),
                refused: None,
            };
            users.items.into_iter().map(declared).collect::<Vec<_>>()
        };
        let mut last = vec![];
        let settled = within(PATIENCE, || {
            last = list();
            last.iter().all(Declared::is_settled).then_some(())
        });
        let unsettled = last.iter().filter(|declared| settled.is_none() && !declared.is_settled());
        let complaints = unsettled.map(|declared| {
            let user = &declared.user;
            format!("{} in {namespace} isn't settled: {}", user["metadata"]["name"], user["status"])
        });
        self.ledger.judged("O1 settled", complaints.collect());
        last
    }

    /// Judges everything once faults have stopped.
    fn judge(
        &self,
        teams: &mut [Team; 2],
        drivers: &mut [Driver],
        namespaces: &[String],
        others: &Others,
    ) {
        let ledger = &self.ledger;
        self.until_settled(drivers, namespaces);
        self.passwords(drivers);
        let mut complaints = vec![];
        let judged = within(PATIENCE, || {
            let content = run(read(&self.database));
            complaints = self.of_the_end(drivers, namespaces, &content, others);
            complaints.is_empty().then_some(())
        });
        let left = if judged.is_some() { vec![] } else { complaints };
        ledger.judged("O1, O3-O6, O8, O13, O18, O19 at the end", left);
        ledger.judged("O7 late", rules::late(&ledger.latencies(), BOUND));
        let mut places = self.told(&teams[0].organization);
        ledger.judged("O15 passwords", needles::found(&PASSWORDS, &places));
        places.retain(|(name, _)| name.ends_with(".log"));
        ledger.judged("O22 panics", rules::panics(&places));
        self.stays_so(teams, namespaces);
    }

    fn of_the_end(
        &self,
        drivers: &mut [Driver],
        namespaces: &[String],
        content: &Content,
        others: &Others,
    ) -> Vec<String> {
        let declared = self.until_settled(drivers, namespaces);
        let mut complaints = oracles::of_the_store(content);
        let mut owned = content.clone();
        owned.accounts.retain(|account| {
            (account.namespace.as_str(), account.owner.as_str()) != (&others.going.name, RELEASED)
        });
        complaints.extend(oracles::users(&declared, &owned));
        {
            let seen = self.observer.seen();
            complaints.extend(oracles::what_was_said(&seen.said, &content.witness));
            let billable =
                Billable { seen: seen.with_account.clone(), asked_for: seen.asked_for.clone() };
            complaints.extend(oracles::bill(
                &billed(&self.database.url(), &run(months(&self.database))),
                &billable,
                content,
            ));
        }
        complaints.extend(directory(&self.folder, &owned));
        let users: Vec<Value> =
            declared.iter().map(|declared| declared.user.clone()).map(named).collect();
        let groups: Vec<Value> = namespaces.iter().flat_map(|name| groups(name)).collect();
        let held = run(held(&self.database, &mut None)).expect("the store can be read");
        complaints.extend(rules::permissions(&users, &groups, &held));
        complaints
    }

    /// O16: the newest password lets in, unless the account is disabled.
    fn passwords(&self, drivers: &[Driver]) {
        for (login, password, enabled) in drivers.iter().flat_map(Driver::passwords) {
            self.ledger.awaited(
                "O16 passwords",
                &format!("{login} is let in with the newest password: {enabled}"),
                || {
                    let entered =
                        run_roster(&["login", &login, "--store", &self.database.url()], &password);
                    (entered.code == Some(if enabled { 0 } else { 1 })).then_some(())
                },
            );
        }
    }

    /// Returns everything that operators say: logs, pages, Events and statuses.
    fn told(&self, organization: &Organization) -> Places {
        let mut places = vec![];
        let folder = organization.logs().parent().expect("the logs are in a folder").to_owned();
        for folder in [folder, organization.logs()] {
            for file in std::fs::read_dir(folder)
                .expect("it can be read")
                .filter_map(Result::ok)
                .map(|file| file.path())
            {
                if file.extension().is_some_and(|extension| extension == "log") {
                    places.push((
                        file.display().to_string(),
                        std::fs::read(&file).expect("a log can be read"),
                    ));
                }
            }
        }
        let kinds = "users.roster.rs,usergroups,orgemaildomains,events.events.k8s.io";
        let all = organization
            .kubectl(&["get", kinds, "--all-namespaces", "-o", "yaml"], "")
            .expect_success();
        places.push(("objects and Events".to_owned(), all.into_bytes()));
        assert!(places.len() > 5, "everything was looked at: {}", places.len());
        places
    }

    /// O2, O12: nothing is written any more, over a restart and three comparisons of everything.
    fn stays_so(&self, teams: &mut [Team; 2], namespaces: &[String]) {
        teams.iter_mut().for_each(Team::stop);
        let resync = format!("{}s", RESYNC.as_secs());
        let state = || {
            let mut state: BTreeMap<String, String> = BTreeMap::new();
            for name in namespaces {
                let objects = versions(&CLUSTER.organization_named(name));
                state.extend(
                    objects
                        .into_iter()
                        .map(|(object, version)| (format!("{name}/{object}"), version)),
                );
            }
            state.extend(
                rows(&self.database).into_iter().map(|(table, rows)| (table, format!("{rows:?}"))),
            );
            state
        };
        let started = teams.each_ref().map(|team| team.start_one(&["--resync", &resync]));
        // Counts of members follow within 10 seconds.
        let mut last = state();
        eventually("what was under way is done", || {
            std::thread::sleep(6 * RESYNC);
            let now = state();
            let same = now == last;
            last = now;
            same.then_some(())
        });
        drop(started);
        for team in teams.iter() {
            let leases = ["delete", "lease", "--all", "--namespace", "roster-system"];
            team.organization.kubectl(&leases, "").expect_success();
        }
        let started = teams.each_ref().map(|team| team.start_one(&["--resync", &resync]));
        std::thread::sleep(4 * RESYNC);
        self.ledger.judged("O2, O12 unchanged", rules::unchanged(&last, &state()));
        for (replica, metrics) in
            started.iter().map(|replica| (replica, replica.page("/metrics").1))
        {
            let places = vec![("metrics".to_owned(), metrics.into_bytes())];
            self.ledger.judged("O15 passwords", needles::found(&PASSWORDS, &places));
            assert!(replica.leads());
        }
    }
}

/// What a lane does: with a growing number, by its own dice.
type Strike<'a> = Box<dyn FnMut(usize, &mut Dice) + Send + 'a>;

fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stop: &'scope AtomicBool,
    past: &'scope Past,
    mut dice: Dice,
    pause: std::ops::Range<u64>,
    mut strike: Strike<'scope>,
) -> ScopedJoinHandle<'scope, ()> {
    scope.spawn(move || {
        let mut pauses = dice.split(1);
        again(stop, past, || pauses.time(pause.clone()), |number| strike(number, &mut dice));
    })
}

/// Gives an object of a list its kind.
fn named(mut object: Value) -> Value {
    object["kind"] = json!("User");
    object
}

fn groups(namespace: &str) -> Vec<Value> {
    let groups = run(CLUSTER
        .organization_named(namespace)
        .admin()
        .api::<roster::api::UserGroup>()
        .list(&Default::default()));
    let groups = groups.expect("the API server answers").items;
    groups
        .into_iter()
        .map(|group| serde_json::to_value(group).expect("an object is JSON"))
        .collect()
}
