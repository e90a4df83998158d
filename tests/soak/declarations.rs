//! What was declared when, as a watch of the API server shows it.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use serde_json::Value;

/// What somebody may have, at most, or is refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wish {
    pub(crate) grants: BTreeSet<String>,
    /// Whose permissions come along.
    pub(crate) source: Option<String>,
    pub(crate) group: String,
    pub(crate) enabled: bool,
}

/// What a group gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gift {
    pub(crate) permissions: BTreeSet<String>,
    pub(crate) full_control: bool,
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

impl Wish {
    pub(crate) fn of(user: &Value) -> Self {
        let spec = &user["spec"];
        Self {
            grants: texts(&spec["permissions"]["grants"]),
            source: spec["permissions"]["from"]["name"].as_str().map(str::to_owned),
            group: spec["groupRef"]["name"].as_str().unwrap_or("users").to_owned(),
            enabled: spec["state"] != "Disabled",
        }
    }
}

impl Gift {
    pub(crate) fn of(group: &Value) -> Self {
        let spec = &group["spec"];
        Self { permissions: texts(&spec["permissions"]), full_control: spec["fullControl"] == true }
    }
}

/// A value as it was at each time; each holds until the next.
#[derive(Clone, Debug)]
pub(crate) struct Course<T>(Vec<(Instant, T)>);

impl<T> Default for Course<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T: PartialEq> Course<T> {
    pub(crate) fn note(&mut self, at: Instant, value: T) {
        if self.0.last().is_none_or(|(_, last)| *last != value) {
            self.0.push((at, value));
        }
    }

    /// Returns what it was at any moment of a span.
    fn during(&self, from: Instant, to: Instant) -> impl Iterator<Item = &T> {
        let ends = self.0.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        let spans = self
            .0
            .iter()
            .zip(ends)
            .filter(move |((begin, _), end)| *begin <= to && end.is_none_or(|end| end >= from));
        spans.map(|((_, value), _)| value)
    }
}

/// Everything that was declared about permissions. What isn't declared any more counts as it was
/// last: an account may be left behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarations {
    people: HashMap<String, Course<Wish>>,
    names: HashMap<(String, String), BTreeSet<String>>,
    groups: HashMap<(String, String), Course<Gift>>,
}

impl Declarations {
    pub(crate) fn note_user(&mut self, at: Instant, user: &Value) {
        let text =
            |pointer| user.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (uid, name) =
            (text("/metadata/uid"), (text("/metadata/namespace"), text("/metadata/name")));
        self.people.entry(uid.clone()).or_default().note(at, Wish::of(user));
        self.names.entry(name).or_default().insert(uid);
    }

    pub(crate) fn note_group(&mut self, at: Instant, group: &Value) {
        let text =
            |pointer| group.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.groups
            .entry((text("/metadata/namespace"), text("/metadata/name")))
            .or_default()
            .note(at, Gift::of(group));
    }

    /// Returns what a `User` may have at most, by what was declared at any moment of a span;
    /// nothing where nobody saw it.
    pub(crate) fn allowed(
        &self,
        namespace: &str,
        uid: &str,
        from: Instant,
        to: Instant,
    ) -> Option<BTreeSet<String>> {
        let wishes: Vec<&Wish> = self.people.get(uid)?.during(from, to).collect();
        let mut allowed = BTreeSet::new();
        self.own(namespace, uid, (from, to), &mut BTreeSet::new(), &mut allowed);
        for group in wishes.iter().map(|wish| wish.group.clone()).collect::<BTreeSet<_>>() {
            if group == "administrators" {
                allowed.insert("*".to_owned());
            }
            let gifts = self.groups.get(&(namespace.to_owned(), group)).into_iter();
            for gift in gifts.flat_map(|course| course.during(from, to)) {
                allowed.extend(gift.permissions.iter().cloned());
                if gift.full_control {
                    allowed.insert("*".to_owned());
                }
            }
        }
        Some(allowed)
    }

    /// Whether a `User` may be enabled by what was declared at any moment of a span; nothing where
    /// nobody saw it.
    pub(crate) fn may_be_enabled(&self, uid: &str, from: Instant, to: Instant) -> Option<bool> {
        Some(self.people.get(uid)?.during(from, to).any(|wish| wish.enabled))
    }

    fn own(
        &self,
        namespace: &str,
        uid: &str,
        (from, to): (Instant, Instant),
        visited: &mut BTreeSet<String>,
        own: &mut BTreeSet<String>,
    ) {
        if !visited.insert(uid.to_owned()) {
            return;
        }
        for wish in self.people.get(uid).into_iter().flat_map(|course| course.during(from, to)) {
            own.extend(wish.grants.iter().cloned());
            let Some(source) = &wish.source else { continue };
            for source in
                self.names.get(&(namespace.to_owned(), source.clone())).into_iter().flatten()
            {
                self.own(namespace, source, (from, to), visited, own);
            }
        }
    }
}
