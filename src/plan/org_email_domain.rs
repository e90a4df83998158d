//! What becomes of an `OrgEmailDomain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocked::{Blocked, UsedBy};
use super::{Decision, DomainPlan, Hold, Leaving, Listing, Meta, Plan, unheld};
use crate::api::org_email_domain::OrgEmailDomainSpec;
use crate::domain::email::Domain;

/// Everything that decides what becomes of one listed domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for; nothing where the resource isn't there any more.
    pub spec: Option<Arc<OrgEmailDomainSpec>>,
    /// The organization's list, by the name of the `OrgEmailDomain`.
    pub listings: BTreeMap<String, Listing>,
    /// The namespace is going and has no `User` any more: what accounts that stay still need of it stays in the store.
    pub is_abandoned: bool,
    /// How many accounts that stay have an address that counts to it.
    pub users: i64,
    /// The `User`s that are being deleted.
    pub leaving: Leaving,
}

/// Decides what becomes of a listed domain.
#[must_use]
pub fn decide(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, listings, is_abandoned, users, leaving } = snapshot;
    let listed = listings.get(&meta.name);
    match spec {
        None if listed.is_some() && *users == 0 => drop_listing(meta, leaving, Hold::Keep),
        None => Decision::default(),
        Some(_) if let Some(decision) = unheld(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(_) if meta.deleting && *users > 0 && *is_abandoned => Decision::hold(Hold::Release),
        Some(_) if meta.deleting && *users > 0 => Decision::blocked(Blocked::InUse { accounts: *users, role: UsedBy::Addresses }),
        Some(_) if meta.deleting && listed.is_none() => Decision::hold(Hold::Release),
        Some(_) if meta.deleting => drop_listing(meta, leaving, Hold::Release),
        Some(spec) => match listing(meta, spec, listings) {
            Err(why) => Decision::blocked(why),
            Ok(wanted) if listed == Some(&wanted) => Decision::default(),
            Ok(wanted) => {
                let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
                let plan = Plan::Domain(DomainPlan::Put { namespace, name, listing: wanted });
                Decision { plan: Some(plan), ..Decision::default() }
            }
        },
    }
}

fn drop_listing(meta: &Meta, leaving: &Leaving, hold: Hold) -> Decision {
    let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
    let plan = Plan::Domain(DomainPlan::Drop { namespace, name, leaving: leaving.clone() });
    Decision { plan: Some(plan), hold, ..Decision::default() }
}

fn listing(meta: &Meta, spec: &OrgEmailDomainSpec, listings: &BTreeMap<String, Listing>) -> Result<Listing, Blocked> {
    let domain = Domain::parse(&spec.domain).map_err(Blocked::DomainInvalid)?;
    if domain.is_public_suffix() {
        return Err(Blocked::PublicSuffix(domain));
    }
    if let Some((holder, _)) = listings.iter().find(|(name, listing)| **name != meta.name && listing.domain == domain) {
        return Err(Blocked::DomainTaken { domain, holder: holder.clone() });
    }
    Ok(Listing { domain, include_subdomains: spec.include_subdomains })
}
