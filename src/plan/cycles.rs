//! Inheritance cycles: which `User`s lead back to themselves, found once for all who ask.
//!
//! Every `User` leads to at most one other. So the whole graph is walked once, and afterwards each
//! question about one of its `User`s is answered without another walk: a cycle of a thousand is
//! judged in a thousand steps, not in a million.

use std::collections::{BTreeMap, HashMap};

use super::permission_source::{SourceNode, leads_to};
use crate::domain::account::Account;
use crate::domain::inheritance::{self, frozen};
use crate::domain::permission::{Permission, Permissions};

/// How the `User`s of an organization lead to each other: by what is in force where there is an
/// account, and by what is declared where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Cycles {
    numbers: HashMap<String, usize>,
    nodes: Vec<Node>,
    cycles: Vec<Cycle>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    name: String,
    next: Option<usize>,
    /// The cycle that it is on.
    cycle: Option<usize>,
    /// The cycle that it leads to, being on it or not.
    leads_to: Option<usize>,
    /// When a walk through the tree of those who lead to it came to it, and left it.
    entered: usize,
    left: usize,
}

/// The `User`s of one cycle, judged together.
#[derive(Clone, Debug, Default)]
pub(super) struct Cycle {
    /// Their names, each leading to the next, and the last to the first.
    pub(super) names: Vec<String>,
    /// What those with an account should keep who keep something else, as long as nobody's grants
    /// change.
    pub(super) unsettled: BTreeMap<String, Permissions>,
}

impl Cycles {
    /// Walks through all of them once.
    pub(super) fn of(relatives: &BTreeMap<String, SourceNode>) -> Self {
        let mut cycles = Self::default();
        for (name, relative) in relatives {
            let number = cycles.number(name);
            let next = leads_to(relative).map(|name| cycles.number(name));
            cycles.nodes[number].next = next;
        }
        cycles.find_cycles();
        cycles.find_trees();
        for cycle in &mut cycles.cycles {
            cycle.judge(relatives);
        }
        cycles
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.nodes.len();
        self.numbers.insert(name.to_owned(), number);
        self.nodes.push(Node { name: name.to_owned(), ..Node::default() });
        number
    }

    fn find_cycles(&mut self) {
        // On which walk each was met first.
        let mut met: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for first in 0..self.nodes.len() {
            let mut last = first;
            while met[last].is_none() {
                visits::count();
                met[last] = Some(first);
                match self.nodes[last].next {
                    Some(next) => last = next,
                    None => break,
                }
            }
            let comes_back = self.nodes[last].next.is_some()
                && met[last] == Some(first)
                && self.nodes[last].cycle.is_none();
            if comes_back {
                self.note_cycle(last);
            }
        }
    }

    fn note_cycle(&mut self, first: usize) {
        let (number, mut names, mut last) = (self.cycles.len(), vec![], first);
        loop {
            visits::count();
            let node = &mut self.nodes[last];
            (node.cycle, node.leads_to) = (Some(number), Some(number));
            names.push(node.name.clone());
            match node.next {
                Some(next) if next != first => last = next,
                _ => break,
            }
        }
        self.cycles.push(Cycle { names, ..Cycle::default() });
    }

    /// Walks from each end of a line, and from each `User` on a cycle, back to those who lead
    /// there.
    fn find_trees(&mut self) {
        let mut before: Vec<Vec<usize>> = vec![vec![]; self.nodes.len()];
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.cycle.is_none())
        {
            if let Some(next) = node.next {
                before[next].push(number);
            }
        }
        let is_root = |node: &Node| node.next.is_none() || node.cycle.is_some();
        let roots: Vec<usize> =
            (0..self.nodes.len()).filter(|&number| is_root(&self.nodes[number])).collect();
        let mut step = 0;
        for root in roots {
            let cycle = self.nodes[root].cycle;
            let mut open = vec![(root, 0)];
            while let Some((number, done)) = open.pop() {
                if done == 0 {
                    visits::count();
                    step += 1;
                    (self.nodes[number].entered, self.nodes[number].leads_to) = (step, cycle);
                }
                match before[number].get(done) {
                    Some(&child) => open.extend([(number, done + 1), (child, 0)]),
                    None => self.nodes[number].left = step,
                }
            }
        }
    }

    /// Whether who begins at a `User` comes to another one: the answer doesn't depend on whom that
    /// one leads to.
    pub(super) fn reaches(&self, from: &str, to: &str) -> bool {
        if from == to {
            return true;
        }
        let (Some(from), Some(to)) = (self.node(from), self.node(to)) else { return false };
        match to.cycle {
            Some(cycle) => from.leads_to == Some(cycle),
            None => to.entered <= from.entered && from.entered <= to.left,
        }
    }

    /// Returns the cycle that a `User` is on.
    pub(super) fn cycle(&self, name: &str) -> Option<&Cycle> {
        self.cycles.get(self.node(name)?.cycle?)
    }

    /// Returns whom a `User` leads to.
    pub(super) fn next(&self, name: &str) -> Option<&str> {
        Some(&self.nodes[self.node(name)?.next?].name)
    }

    /// Returns the names from a `User` on, as far as that leads without meeting one again.
    pub(super) fn from<'a>(&'a self, first: &'a str) -> impl Iterator<Item = &'a str> {
        let cycle = self.node(first).and_then(|node| node.leads_to);
        let mut last = Some((first, self.node(first)));
        // A line is as long as it is, and of a cycle each is named once.
        let mut came_to: Option<&str> = None;
        std::iter::from_fn(move || {
            let (name, node) = last?;
            visits::count();
            if came_to == Some(name) {
                last = None;
                return None;
            }
            if came_to.is_none() && cycle.is_some() && node.is_some_and(|node| node.cycle == cycle)
            {
                came_to = Some(name);
            }
            let next = node.and_then(|node| node.next).map(|next| &self.nodes[next]);
            last = next.map(|next| (next.name.as_str(), Some(next)));
            Some(name)
        })
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(*self.numbers.get(name)?)
    }
}

impl Cycle {
    fn judge(&mut self, relatives: &BTreeMap<String, SourceNode>) {
        let find = |name: &str| relatives.get(name).and_then(|relative| relative.account.as_ref());
        let members: Vec<(&String, &Account)> =
            self.names.iter().filter_map(|name| Some((name, find(name)?))).collect();
        let granted: Permissions =
            members.iter().flat_map(|(_, account)| &account.content.grants).cloned().collect();
        for (name, account) in members {
            visits::count();
            let stays = stays(&inheritance::own(account, find), &account.content.grants, |it| {
                granted.contains(it)
            });
            if frozen(account) != Some(&stays) {
                self.unsettled.insert(name.clone(), stays);
            }
        }
    }
}

/// Returns what an account on a cycle keeps: of what it had, what somebody on the cycle is still
/// granted and it isn't itself.
pub(super) fn stays(
    had: &Permissions,
    grants: &Permissions,
    is_granted: impl Fn(&Permission) -> bool,
) -> Permissions {
    had.iter().filter(|it| is_granted(it) && !grants.contains(*it)).cloned().collect()
}

/// Counts how often somebody was looked at, for tests.
pub(super) mod visits {
    #[cfg(test)]
    thread_local! {
        static COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[inline]
    pub(in crate::plan) fn count() {
        #[cfg(test)]
        COUNT.with(|count| count.set(count.get() + 1));
    }

    /// Returns how many there were since it was last asked.
    #[cfg(test)]
    pub(in crate::plan) fn take() -> usize {
        COUNT.with(|count| count.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::permission_source::DeclaredSource;

    /// `User`s without accounts, each of whom declares to follow another one or nobody.
    fn declared(follows: &[Option<usize>]) -> BTreeMap<String, SourceNode> {
        let relative = |follows: &Option<usize>| {
            let declared = DeclaredSource {
                deleting: false,
                follows: follows.map(|other| format!("u{other}")),
            };
            SourceNode { account: None, declared: Some(declared) }
        };
        follows
            .iter()
            .enumerate()
            .map(|(number, follows)| (format!("u{number}"), relative(follows)))
            .collect()
    }

    /// Follows one by one, as the sentence says.
    fn walked(follows: &[Option<usize>], first: usize) -> Vec<usize> {
        let (mut walked, mut next) = (vec![], Some(first));
        while let Some(number) = next.filter(|number| !walked.contains(number)) {
            walked.push(number);
            next = follows.get(number).copied().flatten();
        }
        walked
    }

    #[test]
    fn who_leads_to_whom_is_as_if_each_were_followed_one_by_one() {
        let many = 6;
        // Every way in which five may lead to one of six or to nobody; the sixth is only named.
        for code in 0..7_usize.pow(5) {
            let follows: Vec<Option<usize>> = (0..5)
                .map(|it| Some(code / 7_usize.pow(it) % 7).filter(|next| *next < many))
                .collect();
            let cycles = Cycles::of(&declared(&follows));
            for from in 0..many {
                let expected = walked(&follows, from);
                let name = format!("u{from}");
                let found: Vec<String> = cycles.from(&name).map(str::to_owned).collect();
                assert_eq!(
                    found,
                    expected.iter().map(|it| format!("u{it}")).collect::<Vec<_>>(),
                    "{follows:?} from {from}"
                );
                for to in 0..many {
                    let reached = cycles.reaches(&name, &format!("u{to}"));
                    assert_eq!(reached, expected.contains(&to), "{follows:?} from {from} to {to}");
                }
                let is_on_one = follows
                    .get(from)
                    .copied()
                    .flatten()
                    .is_some_and(|next| walked(&follows, next).contains(&from));
                assert_eq!(
                    cycles.cycle(&name).map(|cycle| cycle.names.len()),
                    is_on_one.then_some(expected.len())
                );
            }
        }
    }
}
