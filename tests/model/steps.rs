//! What happens to an organization, and random scripts of it.

use std::fmt;

use crate::reference::{Gives, Mode, Person, Words};

/// One thing that happens. What concerns somebody who isn't there, or is there already, does
/// nothing, so that any part of a script is a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(String, Person),
    Edit(String, Edit),
    Delete(String),
    Group(String, Gives),
    PauseGroup(String, bool),
    DeleteGroup(String),
    /// The operator goes through its loop so many times.
    Work(usize),
    /// It works until nothing is left to do.
    Quiet,
    Restart,
    StoreAway(usize),
    RepliesLost(usize),
    WritesFail(usize),
    AnswersLost(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    From(Option<(Mode, String)>),
    Grants(Words),
    Group(String),
    Enabled(bool),
    Approve,
    Protected(bool),
    Paused(bool),
    Role(Option<String>),
    Teams(Words),
    DisplayName(String),
    Email(String),
}

impl Edit {
    pub(crate) fn apply(self, person: &mut Person) {
        match self {
            Self::From(from) => person.from = from,
            Self::Grants(grants) => person.grants = grants,
            Self::Group(group) => person.group = group,
            Self::Enabled(enabled) => person.enabled = enabled,
            Self::Approve => person.approved = true,
            Self::Protected(protected) => person.protected = protected,
            Self::Paused(paused) => person.paused = paused,
            Self::Role(role) => person.role = role,
            Self::Teams(teams) => person.teams = teams,
            Self::DisplayName(name) => person.display_name = Some(name),
            Self::Email(email) => person.email = Some(email),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(name, person) => {
                let Person {
                    paused,
                    protected,
                    approved,
                    enabled,
                    group,
                    grants,
                    from,
                    copy_of,
                    email,
                    ..
                } = person;
                write!(f, "create {name} group={group} grants={grants:?}")?;
                if let Some((mode, from)) = from {
                    write!(f, " {mode:?} {from}")?;
                }
                if let Some(source) = copy_of {
                    write!(f, " copyOf {source} email={email:?}")?;
                }
                let flags = [
                    (*paused, "paused"),
                    (*protected, "protected"),
                    (!approved, "unapproved"),
                    (!enabled, "disabled"),
                ];
                flags.iter().filter(|(set, _)| *set).try_for_each(|(_, flag)| write!(f, " {flag}"))
            }
            Self::Edit(name, edit) => write!(f, "edit {name} {edit:?}"),
            Self::Group(name, gives) => {
                write!(f, "group {name} fullControl={} {:?}", gives.full_control, gives.permissions)
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).expect("a die has few sides");
        usize::try_from((mixed ^ (mixed >> 31)) % sides).expect("below a usize")
    }

    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn words(&mut self, most: usize) -> Words {
        (0..self.below(most + 1)).map(|_| format!("p{}", self.below(8))).collect()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        (1..all.len()).for_each(|last| all.swap(last, self.below(last + 1)));
    }
}

const GROUPS: [&str; 6] = ["users", "users", "administrators", "g0", "g1", "g2"];

/// Writes random scripts about so many people.
pub(crate) struct Writer {
    dice: Dice,
    people: usize,
    script: Vec<Step>,
}

impl Writer {
    pub(crate) fn script(seed: u64, people: usize, rounds: usize) -> Vec<Step> {
        let mut writer = Self { dice: Dice(seed), people, script: vec![] };
        for group in ["g0", "g1"] {
            writer.group(group);
        }
        if !writer.dice.once_in(4) {
            let administrator =
                Person { group: "administrators".to_owned(), ..writer.person("u0") };
            writer.script.push(Step::Create(
                "u0".to_owned(),
                Person { approved: true, paused: false, ..administrator },
            ));
        }
        let mut names: Vec<usize> = (0..people).collect();
        writer.dice.shuffle(&mut names);
        for name in names.iter().skip(people / 5) {
            writer.create(&format!("u{name}"));
        }
        if people > 40 && writer.dice.once_in(2) {
            writer.line(36);
        }
        writer.script.push(Step::Quiet);
        for _ in 0..rounds {
            writer.round();
        }
        writer.script.push(Step::Quiet);
        writer.script
    }

    fn name(&mut self) -> String {
        format!("u{}", self.dice.below(self.people))
    }

    fn from(&mut self) -> Option<(Mode, String)> {
        // In a large organization lines would all end at somebody who waits.
        match self.dice.below(if self.people > 100 { 24 } else { 8 }) {
            0..=4 => Some((Mode::Inherit, self.name())),
            5 => Some((Mode::Clone, self.name())),
            _ => None,
        }
    }

    fn person(&mut self, name: &str) -> Person {
        let copy_of = self.dice.once_in(6).then(|| self.name());
        let by_itself = copy_of.is_none();
        let says = |dice: &mut Dice| by_itself || dice.once_in(2);
        Person {
            uid: String::new(),
            generation: 0,
            paused: self.dice.once_in(25),
            deleting: false,
            protected: self.dice.once_in(5),
            approved: !self.dice.once_in(8),
            enabled: !self.dice.once_in(8),
            group: self.dice.one_of(&GROUPS).to_owned(),
            grants: self.dice.words(3),
            from: self.from().filter(|(mode, from)| *mode == Mode::Inherit || from != name),
            email: says(&mut self.dice).then(|| format!("{name}@acme.example")),
            role: self.dice.once_in(2).then(|| format!("role {}", self.dice.below(3))),
            teams: if self.dice.once_in(2) { Words::new() } else { self.dice.words(2) },
            display_name: says(&mut self.dice).then(|| format!("Name {}", self.dice.below(3))),
            copy_of,
        }
    }

    fn create(&mut self, name: &str) {
        let person = self.person(name);
        self.script.push(Step::Create(name.to_owned(), person));
    }

    fn group(&mut self, name: &str) {
        let gives = Gives { full_control: self.dice.once_in(4), permissions: self.dice.words(3) };
        self.script.push(Step::Group(name.to_owned(), gives));
    }

    fn edit(&mut self, name: &str, edit: Edit) {
        self.script.push(Step::Edit(name.to_owned(), edit));
    }

    fn round(&mut self) {
        match self.dice.below(24) {
            0..=7 => {
                for _ in 0..=self.dice.below(4) {
                    self.an_edit();
                }
            }
            8..=10 => self.ring(),
            11 | 12 => self.cut(),
            13 | 14 => {
                let name = self.name();
                self.create(&name);
            }
            15 => self.remove(),
            16 => self.script.push(Step::Restart),
            17 => self.fault(),
            18 => self.a_group(),
            19 => {
                let name = self.name();
                self.script.push(Step::Delete(name));
            }
            20 => {
                let length = 2 + self.dice.below(self.people.min(40) - 1);
                self.line(length);
            }
            21 => {
                for _ in 0..self.people.min(12) {
                    self.an_edit();
                }
            }
            _ => self.script.push(Step::Quiet),
        }
        if self.dice.once_in(3) {
            let times = 1 + self.dice.below(4);
            self.script.push(Step::Work(times));
        }
    }

    fn an_edit(&mut self) {
        let name = self.name();
        let edit = match self.dice.below(20) {
            0..=5 => Edit::From(
                self.from().filter(|(mode, from)| *mode == Mode::Inherit || *from != name),
            ),
            6..=9 => Edit::Grants(self.dice.words(3)),
            10 | 11 => Edit::Group(self.dice.one_of(&GROUPS).to_owned()),
            12 | 13 => Edit::Enabled(self.dice.once_in(2)),
            14 => Edit::Approve,
            15 => Edit::Protected(self.dice.once_in(3)),
            16 => Edit::Paused(self.dice.once_in(2)),
            17 => Edit::Role(self.dice.once_in(2).then(|| format!("role {}", self.dice.below(3)))),
            18 => Edit::Teams(self.dice.words(2)),
            _ if self.dice.once_in(2) => Edit::DisplayName(format!("Name {}", self.dice.below(3))),
            _ => Edit::Email(format!("{name}@acme.example")),
        };
        self.edit(&name, edit);
    }

    /// Some close a ring, at once or one after the other, in any order.
    fn ring(&mut self) {
        let length = self.dice.one_of(&[1, 2, 2, 3, 3, 4, 7, 12]).min(self.people);
        let mut names: Vec<usize> = (0..self.people).collect();
        self.dice.shuffle(&mut names);
        let ring = &names[..length];
        let mut edits: Vec<(usize, usize)> =
            (0..length).map(|at| (ring[at], ring[(at + 1) % length])).collect();
        self.dice.shuffle(&mut edits);
        let slowly = self.dice.once_in(3);
        for (name, from) in edits {
            self.edit(&format!("u{name}"), Edit::From(Some((Mode::Inherit, format!("u{from}")))));
            if self.dice.once_in(5) {
                let grants = self.dice.words(3);
                self.edit(&format!("u{name}"), Edit::Grants(grants));
            }
            if slowly {
                self.script.push(Step::Work(1 + self.dice.below(3)));
            }
        }
    }

    /// Many follow nobody any more.
    fn cut(&mut self) {
        for _ in 0..1 + self.people / 4 {
            let name = self.name();
            self.edit(&name, Edit::From(None));
        }
    }

    fn line(&mut self, length: usize) {
        let first = self.dice.below(self.people);
        let mut edits: Vec<usize> = (first..first + length).collect();
        self.dice.shuffle(&mut edits);
        for at in edits {
            let (name, from) = (at % self.people, (at + 1) % self.people);
            self.edit(&format!("u{name}"), Edit::From(Some((Mode::Inherit, format!("u{from}")))));
        }
    }

    /// Somebody is deleted without protection, and perhaps there again soon.
    fn remove(&mut self) {
        let name = self.name();
        self.edit(&name, Edit::Protected(false));
        self.script.push(Step::Delete(name.clone()));
        if self.dice.once_in(2) {
            self.script.push(Step::Work(6));
            self.create(&name);
        }
    }

    fn a_group(&mut self) {
        let group = self.dice.one_of(&["g0", "g1", "g2", "users", "administrators"]);
        match self.dice.below(6) {
            0 => self.script.push(Step::DeleteGroup(group.to_owned())),
            1 => {
                let paused = self.dice.once_in(3);
                self.script.push(Step::PauseGroup(group.to_owned(), paused));
            }
            _ => self.group(group),
        }
    }

    fn fault(&mut self) {
        let times = 1 + self.dice.below(4);
        let fault = match self.dice.below(4) {
            0 => Step::StoreAway(times),
            1 => Step::RepliesLost(1),
            2 => Step::WritesFail(times),
            _ => Step::AnswersLost(times),
        };
        self.script.push(fault);
    }
}
