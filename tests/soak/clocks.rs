//! An operator whose machine's clock is ahead, past the end of the month, and one whose clock is
//! right again.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use roster_test_support::application::Application;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::wrong_clock::WrongClock;
use roster_test_support::cluster::{
    Organization, With, condition, domain, passed, run, run_roster, user,
};
use roster_test_support::rng::Dice;
use serde_json::Value;

use crate::ledger::{Fault, Ledger};
use crate::rules;

/// An organization with a store of its own, for which one operator after the other works.
pub(crate) struct Clocks<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) ledger: &'a Ledger,
    clock: WrongClock,
    store: String,
}

impl<'a> Clocks<'a> {
    #[track_caller]
    pub(crate) fn new(organization: &'a Organization, ledger: &'a Ledger) -> Self {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&user("ada").with("/spec/groupRef/name", "administrators")));
        let store = format!("sqlite://{}?mode=rwc", organization.file("clock.db").display());
        Self { organization, ledger, clock: WrongClock::ahead_by(organization, 0), store }
    }

    /// Has an operator work by the right clock, by one that is ahead, and by the right one again.
    pub(crate) fn strike(&self, number: usize, dice: &mut Dice) {
        self.hire(&format!("before-{number}"), 0);
        // The certificate of the API server is good for a year.
        let ahead = to_the_next_month() + i64::try_from(dice.below(60 * 86_400)).expect("days");
        self.ledger.during(Fault::ClockAhead, || self.hire(&format!("ahead-{number}"), ahead));
        self.hire(&format!("after-{number}"), 0);
        self.judge();
    }

    /// Has an operator with a clock that is so many seconds ahead create an account.
    fn hire(&self, name: &str, ahead: i64) {
        std::fs::write(&self.clock.offset, ahead.to_string()).expect("it can be written");
        let mut operator =
            Replica::start_in(self.organization, &self.clock.environment(), &self.store);
        let admin = self.organization.admin();
        passed(admin.create(&user(name).with("/spec/deletionProtection", "Disabled")));
        self.ledger.awaited(
            "O1 clocks",
            &format!("{name} is Ready, whatever the clock says"),
            || {
                let user = admin.get("User", name)?;
                (condition(&user, "Ready")["status"] == "True").then_some(())
            },
        );
        operator.signal("TERM");
        operator.exit_code();
    }

    fn judge(&self) {
        let closed = run(async {
            let mut application = Application::open(&self.store).await;
            let rows = application.rows("SELECT month, ends_at FROM closed_months", &[]).await;
            let closed: Vec<(String, i64)> =
                rows.iter().map(|row| (row.text(0).expect("a month"), row.number(1))).collect();
            application.close().await;
            closed
        });
        let now = now();
        self.ledger
            .judged("O13 closed months", rules::closed_months(&closed, now.as_microsecond()));
        let month = now.strftime("%Y-%m").to_string();
        let report = run_roster(
            &["billing", "report", "--month", &month, "-o", "json", "--store", &self.store],
            "",
        );
        let report: Value =
            serde_json::from_str(&report.expect_success()).expect("the report is JSON");
        let lines = report["lines"].as_array().expect("lines").iter();
        let billed: Vec<String> =
            lines.map(|line| line["loginName"].as_str().expect("a login").to_owned()).collect();
        let users =
            run(self.organization.admin().api::<roster::api::User>().list(&Default::default()))
                .expect("the API server answers");
        let names: BTreeSet<String> =
            users.items.iter().filter_map(|user| user.metadata.name.clone()).collect();
        self.ledger.judged("O13 bill by clocks", bill(&names, &self.organization.name, &billed));
    }
}

/// O13, O14: everybody who has an account is on the bill of the month that it is, once.
pub(crate) fn bill(names: &BTreeSet<String>, namespace: &str, billed: &[String]) -> Vec<String> {
    let lines = |login: &str| billed.iter().filter(|billed| *billed == login).count();
    let logins = names.iter().map(|name| format!("{name}.{namespace}"));
    let wrong = logins.map(|login| (lines(&login), login)).filter(|(lines, _)| *lines != 1);
    wrong
        .map(|(lines, login)| format!("{login} has {lines} lines on the bill of this month"))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "what counts is the machine's own time")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns how many seconds and a minute are left of the month.
fn to_the_next_month() -> i64 {
    let now = now().to_zoned(jiff::tz::TimeZone::UTC);
    let next =
        now.last_of_month().expect("a month ends").end_of_day().expect("a day ends").timestamp();
    (next.duration_since(now.timestamp()) + SignedDuration::from_mins(1)).as_secs()
}
