//! What happens in a history, and random ones.

use std::collections::BTreeSet;
use std::time::Duration;

use roster_test_support::rng::Dice;
use serde_json::{Value, json};

use crate::directory::Trouble;

/// What a `User` asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) is_disabled: bool,
    pub(crate) grants: BTreeSet<String>,
    pub(crate) group: String,
    pub(crate) follows: Option<String>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(String, Wish),
    Enable(String, bool),
    Grants(String, BTreeSet<String>),
    Regroup(String, String),
    Delete(String),
    Group(String, BTreeSet<String>),
    Rotate(String, usize),
    /// The operator is gone with its memory, and another begins. Its requests are still under way.
    Kill,
    /// Another claims the store, and the operator doesn't know.
    Replace,
    Down(bool),
    Trouble(String, Option<Trouble>),
    Wait(Duration),
}

impl Wish {
    pub(crate) fn user(&self, name: &str) -> Value {
        let Self { is_disabled, grants, group, follows } = self;
        let from = follows.as_ref().map(|name| json!({"name": name, "mode": "Inherit"}));
        let mut permissions = json!({"grants": grants});
        if let Some(from) = from {
            permissions["from"] = from;
        }
        let spec = json!({
            "email": format!("{name}@acme.example"),
            "profile": {"displayName": name},
            "chargeApproved": true,
            "deletionProtection": "Disabled",
            "state": if *is_disabled { "Disabled" } else { "Enabled" },
            "groupRef": {"name": group},
            "permissions": permissions,
            "passwordSecretRef": {"name": format!("{name}-password"), "key": "password"},
        });
        json!({"kind": "User", "metadata": {"name": name}, "spec": spec})
    }
}

fn words(dice: &mut Dice, most: usize) -> BTreeSet<String> {
    let words = ["orders:read", "orders:write", "cases:read", "routes:plan"];
    (0..dice.below(most + 1)).map(|_| dice.choice(&words).to_owned()).collect()
}

fn wish(dice: &mut Dice, name: &str) -> Wish {
    let follows = (name == "u1").then(|| "u0".to_owned());
    Wish { is_disabled: dice.below(5) == 0, grants: words(dice, 3), group: group(dice), follows }
}

fn group(dice: &mut Dice) -> String {
    dice.choice(&["users", "drivers"]).to_owned()
}

/// Returns a random history, of so many steps with what goes by between them.
pub(crate) fn history(dice: &mut Dice, length: usize) -> Vec<Step> {
    let mut steps = vec![Step::Create("u0".to_owned(), wish(dice, "u0"))];
    if dice.below(2) == 0 {
        steps.push(Step::Create("u1".to_owned(), wish(dice, "u1")));
    }
    for _ in 0..length {
        let name = dice.choice(&["u0", "u0", "u0", "u1", "u2"]).to_owned();
        steps.push(match dice.below(30) {
            0..=2 => Step::Create(name.clone(), wish(dice, &name)),
            3..=8 => Step::Enable(name, false),
            9..=11 => Step::Enable(name, true),
            12 => Step::Grants(name, words(dice, 3)),
            13 => Step::Regroup(name, group(dice)),
            14..=16 => Step::Delete(name),
            17 => Step::Group(group(dice), words(dice, 2)),
            18 => Step::Rotate(name, dice.below(3)),
            19..=21 => Step::Kill,
            22..=23 => Step::Replace,
            24 => Step::Down(true),
            25..=26 => Step::Down(false),
            27 => Step::Trouble(
                name,
                Some(dice.choice(&[Trouble::Refuses, Trouble::Fails, Trouble::Hangs])),
            ),
            28 => Step::Trouble(name, None),
            _ => Step::Wait(dice.time(60_000..700_000)),
        });
        let pause = match dice.below(8) {
            0..=2 => continue,
            3..=5 => dice.time(1..2_000),
            6 => dice.time(1_000..20_000),
            _ => dice.time(20_000..90_000),
        };
        steps.push(Step::Wait(pause));
    }
    steps
}
