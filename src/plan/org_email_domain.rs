//! What becomes of an `OrgEmailDomain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocked::{Blocked, UsedBy};
use super::unreadable::{self, Listed};
use super::{
    Decision, Deleting, DomainPlan, FinalizerAction, Listing, Meta, Plan, without_finalizer,
};
use crate::api::org_email_domain::OrgEmailDomainSpec;
use crate::domain::email::Domain;

/// Everything that decides what becomes of one listed domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainSnapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for; nothing where the resource isn't there any more.
    pub spec: Option<Arc<OrgEmailDomainSpec>>,
    /// The organization's list, by the name of the `OrgEmailDomain`.
    pub listings: Arc<BTreeMap<String, Listing>>,
    /// The namespace is going and has no `User` any more: what accounts that stay still need of it
    /// stays in the store.
    pub is_abandoned: bool,
    /// How many accounts that stay have an address that counts to it.
    pub users: i64,
    /// The `User`s that are being deleted.
    pub leaving: Deleting,
}

/// Decides what becomes of a listed domain.
#[must_use]
pub fn decide(snapshot: &DomainSnapshot) -> Decision {
    let DomainSnapshot { meta, spec, listings, is_abandoned, users, leaving } = snapshot;
    let listed = listings.get(&meta.name);
    match spec {
        None if listed.is_some() && *users == 0 => {
            drop_listing(meta, leaving, FinalizerAction::Keep)
        }
        None => Decision::default(),
        Some(_) if let Some(decision) = without_finalizer(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(_) if meta.deleting && *users > 0 && *is_abandoned => {
            Decision::only_finalizer(FinalizerAction::Remove)
        }
        Some(_) if meta.deleting && *users > 0 => {
            Decision::blocked(Blocked::InUse { accounts: *users, role: UsedBy::Addresses })
        }
        Some(_) if meta.deleting && listed.is_none() => {
            Decision::only_finalizer(FinalizerAction::Remove)
        }
        Some(_) if meta.deleting => drop_listing(meta, leaving, FinalizerAction::Remove),
        Some(spec) => match unreadable::blocked(meta, Listed::Nothing, listed.is_none()) {
            Some(unsupported) if listed.is_none() => Decision::blocked(unsupported),
            unsupported => put_listing(meta, spec, listings, unsupported),
        },
    }
}

fn put_listing(
    meta: &Meta,
    spec: &OrgEmailDomainSpec,
    listings: &BTreeMap<String, Listing>,
    unsupported: Option<Blocked>,
) -> Decision {
    let mut blocked: Vec<Blocked> = unsupported.into_iter().collect();
    let plan = match listing(meta, spec, listings) {
        Err(why) => {
            blocked.push(why);
            None
        }
        Ok(wanted) if listings.get(&meta.name) == Some(&wanted) => None,
        Ok(wanted) => {
            let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
            Some(Plan::Domain(DomainPlan::Put { namespace, name, listing: wanted }))
        }
    };
    Decision { plan, blocked, ..Decision::default() }
}

fn drop_listing(meta: &Meta, leaving: &Deleting, hold: FinalizerAction) -> Decision {
    let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
    let plan = Plan::Domain(DomainPlan::Drop { namespace, name, leaving: leaving.clone() });
    Decision { plan: Some(plan), finalizer: hold, ..Decision::default() }
}

fn listing(
    meta: &Meta,
    spec: &OrgEmailDomainSpec,
    listings: &BTreeMap<String, Listing>,
) -> Result<Listing, Blocked> {
    let domain = Domain::parse(&spec.domain).map_err(Blocked::DomainInvalid)?;
    if domain.is_public_suffix() {
        return Err(Blocked::PublicSuffix(domain));
    }
    if let Some((holder, _)) =
        listings.iter().find(|(name, listing)| **name != meta.name && listing.domain == domain)
    {
        return Err(Blocked::DomainTaken { domain, holder: holder.clone() });
    }
    Ok(Listing { domain, include_subdomains: spec.include_subdomains })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::lenient::{Field, UnreadableField};

    fn listed(domain: &str, include_subdomains: bool) -> Listing {
        Listing { domain: Domain::parse(domain).unwrap(), include_subdomains }
    }

    /// A listed domain of which a field can't be read now.
    fn misread(
        field: Field,
        spec: OrgEmailDomainSpec,
        in_force: Option<Listing>,
    ) -> DomainSnapshot {
        let unreadable =
            vec![UnreadableField::new(field, "spec.x".to_owned(), &serde_json::json!("Newer"))]
                .into();
        let meta =
            Meta { name: "acme".to_owned(), has_finalizer: true, unreadable, ..Meta::default() };
        DomainSnapshot {
            spec: Some(unreadable::listing_in_force(&Arc::new(spec), &meta, in_force.as_ref())),
            meta,
            listings: Arc::new(
                in_force.into_iter().map(|listing| ("acme".to_owned(), listing)).collect(),
            ),
            is_abandoned: false,
            users: 0,
            leaving: Deleting::default(),
        }
    }

    #[test]
    fn a_listed_domain_keeps_what_is_not_understood_and_a_new_one_is_not_listed() {
        let spec = |domain: &str, include_subdomains| OrgEmailDomainSpec {
            domain: domain.to_owned(),
            include_subdomains,
        };
        for (field, spec) in [
            (Field::Domain, spec("", true)),
            (Field::IncludeSubdomains, spec("acme.example", false)),
        ] {
            let kept = decide(&misread(field, spec.clone(), Some(listed("acme.example", true))));
            assert_eq!(kept.plan, None);
            assert!(matches!(kept.blocked[..], [Blocked::UnsupportedValue { is_new: false, .. }]));
            let new = decide(&misread(field, spec, None));
            assert_eq!(new.plan, None);
            assert!(matches!(new.blocked[..], [Blocked::UnsupportedValue { is_new: true, .. }]));
        }
        let moved = decide(&misread(
            Field::IncludeSubdomains,
            spec("acme.test", false),
            Some(listed("acme.example", true)),
        ));
        let Some(Plan::Domain(DomainPlan::Put { listing, .. })) = moved.plan else {
            panic!("the rest applies")
        };
        assert_eq!(listing, listed("acme.test", true));
    }

    #[test]
    fn a_listed_domain_that_is_not_understood_can_be_deleted() {
        let spec = OrgEmailDomainSpec { domain: String::new(), include_subdomains: false };
        let mut goes = misread(Field::Spec, spec, Some(listed("acme.example", false)));
        goes.meta.deleting = true;
        assert_eq!(decide(&goes).finalizer, FinalizerAction::Remove);
    }
}
