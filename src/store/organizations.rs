//! What a store knows of organizations beside their accounts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{OrganizationRecord, Refusal};
use crate::domain::account::{AccountSpec, LoginState};
use crate::domain::email::Email;
use crate::domain::group::{ADMINISTRATORS, GroupContent};
use crate::domain::organization::{CustomerId, Organization};
use crate::plan::Listing;

/// The claims, groups and listed domains of organizations, by namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Organizations {
    claims: HashMap<String, CustomerId>,
    claimants: HashMap<CustomerId, String>,
    groups: HashMap<String, BTreeMap<String, GroupContent>>,
    listings: HashMap<String, BTreeMap<String, Listing>>,
}

impl Organizations {
    pub(super) fn record(&self, organization: &Organization) -> OrganizationRecord {
        let Organization { namespace, customer_id } = organization;
        OrganizationRecord {
            claimed: self.claims.get(namespace).cloned(),
            taken: self.claimants.get(customer_id).is_some_and(|claimant| claimant != namespace),
            groups: self.groups.get(namespace).cloned().unwrap_or_default(),
            listings: self.listings.get(namespace).cloned().unwrap_or_default(),
        }
    }

    /// Refuses an account of an organization that has another customer ID, or one that isn't its
    /// own.
    pub(super) fn check_claim(&self, organization: &Organization) -> Result<(), Refusal> {
        let Organization { namespace, customer_id } = organization;
        match self.claims.get(namespace) {
            Some(claimed) if claimed != customer_id => Err(Refusal::CustomerIdChanged),
            None if self.claimants.contains_key(customer_id) => Err(Refusal::CustomerIdTaken),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn has_claimed(&self, namespace: &str) -> bool {
        self.claims.contains_key(namespace)
    }

    pub(super) fn claim(&mut self, namespace: String, customer_id: CustomerId) {
        self.claimants.insert(customer_id.clone(), namespace.clone());
        self.claims.insert(namespace, customer_id);
    }

    /// Refuses a group that is neither declared nor built in.
    pub(super) fn check_group(&self, namespace: &str, name: &str) -> Result<(), Refusal> {
        self.group(namespace, name).map(|_| ()).ok_or(Refusal::GroupNotFound)
    }

    /// Returns what a group gives its members: as declared, else as every organization has it.
    pub(super) fn group(&self, namespace: &str, name: &str) -> Option<GroupContent> {
        let declared = self.groups.get(namespace).and_then(|groups| groups.get(name)).cloned();
        declared.or_else(|| GroupContent::built_in(name))
    }

    pub(super) fn group_names(&self, namespace: &str) -> BTreeSet<String> {
        self.groups.get(namespace).into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// Returns the names of the groups that give full control.
    pub(super) fn control_groups(&self, namespace: &str) -> BTreeSet<String> {
        let names = self.group_names(namespace).into_iter().chain([ADMINISTRATORS.to_owned()]);
        names.filter(|name| self.has_control(namespace, name)).collect()
    }

    pub(super) fn is_administrator(&self, namespace: &str, content: &AccountSpec) -> bool {
        content.lifecycle == LoginState::Enabled && self.has_control(namespace, &content.group)
    }

    pub(super) fn has_control(&self, namespace: &str, group: &str) -> bool {
        let declared = self.groups.get(namespace).and_then(|groups| groups.get(group));
        match declared {
            Some(declared) => declared.full_control,
            None => GroupContent::built_in(group).is_some_and(|group| group.full_control),
        }
    }

    /// Puts a group in force, or takes it out.
    pub(super) fn set_group(
        &mut self,
        namespace: &str,
        name: String,
        content: Option<GroupContent>,
    ) {
        set(self.groups.entry(namespace.to_owned()).or_default(), name, content);
    }

    /// Refuses an address whose domain isn't listed.
    pub(super) fn check_domain(&self, namespace: &str, email: &Email) -> Result<(), Refusal> {
        let accepted = self.listings(namespace).any(|(_, listing)| listing.accepts(email.domain()));
        if accepted { Ok(()) } else { Err(Refusal::DomainNotAllowed) }
    }

    pub(super) fn listings(&self, namespace: &str) -> impl Iterator<Item = (&String, &Listing)> {
        self.listings.get(namespace).into_iter().flatten()
    }

    /// Lists a domain, or takes it off the list.
    pub(super) fn set_listing(&mut self, namespace: &str, name: String, listing: Option<Listing>) {
        set(self.listings.entry(namespace.to_owned()).or_default(), name, listing);
    }
}

fn set<T>(all: &mut BTreeMap<String, T>, name: String, value: Option<T>) {
    match value {
        Some(value) => all.insert(name, value),
        None => all.remove(&name),
    };
}
