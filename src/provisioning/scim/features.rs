//! The features of a server, as it declares them and as they turn out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::messages::{BulkConfig, ScimResource, ServiceProviderConfig, Supported};
use super::transport::{Request, Transport};
use crate::provisioning::DirectoryError;

/// How long a server's declaration is used, and how long it isn't read again if there was none.
const FRESH: Duration = Duration::from_secs(600);
const UNSAID: Duration = Duration::from_secs(60);

/// How long the request may take: no one's rights wait for that.
const LONGEST: Duration = Duration::from_secs(3);

/// How many resources of one page are asked for where a server refuses more without saying how many
/// it gives, one after the other.
const PAGES: &[usize] = &[100, 50, 10];

/// Returns how many resources to ask for if a server doesn't return so many, by the words of its
/// answer.
pub(super) fn fewer_than(count: usize, words: &str) -> Option<usize> {
    let named = words.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok());
    let named = named.filter(|number| (2..count).contains(number)).max();
    named.or_else(|| PAGES.iter().copied().find(|page| *page < count))
}

/// What a server can do.
#[derive(Debug)]
pub(super) struct Features {
    patch: bool,
    filter: bool,
    pub(super) etag: bool,
    bulk: Option<BulkLimits>,
    /// What it declared and failed at.
    failed: Mutex<BTreeSet<Ability>>,
    /// The most resources that it gives at once.
    page: AtomicUsize,
    /// Whether it answers 404 where a filter finds nothing.
    misses_by_404: AtomicBool,
}

/// How much fits into one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct BulkLimits {
    pub(super) operations: usize,
    pub(super) bytes: usize,
}

/// What a server may turn out not to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ability {
    Patch,
    Bulk,
    Or,
    /// A filter of a kind of resources by an attribute and an operator, such as `externalId eq`.
    Filter(ScimResource, &'static str),
    /// Giving the members of groups along in what a filter finds; they may be too many.
    Members,
    /// Removing a member from a group by a path that names it.
    MemberPath,
    GroupKeys,
    /// Taking the members of a group along with the group.
    GroupsWithMembers,
}

impl Features {
    fn of(config: &ServiceProviderConfig) -> Self {
        let ServiceProviderConfig { patch, filter, etag, bulk } = config;
        let says = |it: &Option<Supported>, unsaid| it.map_or(unsaid, |it| it.supported);
        let page = filter.and_then(|filter| filter.max_results).filter(|page| *page > 1);
        let BulkConfig { supported, max_operations, max_payload_size } = bulk.unwrap_or_default();
        let limits = BulkLimits {
            operations: max_operations.unwrap_or(100).min(100),
            bytes: max_payload_size.unwrap_or(1 << 20).min(1 << 20),
        };
        Self {
            patch: says(patch, true),
            filter: filter.is_none_or(|filter| filter.supported),
            etag: says(etag, false),
            bulk: Some(limits).filter(|limits| supported && limits.operations > 1),
            failed: Mutex::default(),
            page: AtomicUsize::new(page.unwrap_or(usize::MAX)),
            misses_by_404: AtomicBool::new(false),
        }
    }

    /// Returns how many resources of so many it is asked for at once.
    pub(super) fn page(&self, most: usize) -> usize {
        most.min(self.page.load(Ordering::Relaxed))
    }

    /// Remembers that it gives so many at once, and no more.
    pub(super) fn note_page(&self, count: usize) {
        self.page.fetch_min(count, Ordering::Relaxed);
    }

    /// Whether it is known to answer 404 where a filter finds nothing.
    pub(super) fn misses_by_404(&self) -> bool {
        self.misses_by_404.load(Ordering::Relaxed)
    }

    /// Remembers that it answers 404 where a filter finds nothing.
    pub(super) fn note_misses_by_404(&self) {
        self.misses_by_404.store(true, Ordering::Relaxed);
    }

    /// Whether it is worth a try.
    pub(super) fn has(&self, ability: Ability) -> bool {
        let says = match ability {
            Ability::Patch => self.patch,
            Ability::Bulk => self.bulk.is_some(),
            Ability::Or | Ability::Filter(..) => self.filter,
            Ability::Members
            | Ability::MemberPath
            | Ability::GroupKeys
            | Ability::GroupsWithMembers => true,
        };
        says && !self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains(&ability)
    }

    /// Returns how much fits into one request, where several writes do at all.
    pub(super) fn bulk(&self) -> Option<BulkLimits> {
        self.bulk.filter(|_| self.has(Ability::Bulk))
    }

    /// Remembers that it can't do something after all, until it is asked again what it can do.
    pub(super) fn fails_at(&self, ability: Ability) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(ability);
    }
}

/// What is known of what a server can do.
#[derive(Debug, Default)]
pub(super) struct KnownFeatures(tokio::sync::Mutex<Option<CachedFeatures>>);

#[derive(Debug)]
struct CachedFeatures {
    until: Instant,
    features: Arc<Features>,
}

impl KnownFeatures {
    /// Returns the server's features. One without a declaration, or without a readable one, is
    /// assumed to take PATCH and filters: requests show whether it does.
    pub(super) async fn get(&self, transport: &Transport) -> Result<Arc<Features>, DirectoryError> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return Ok(known.features.clone());
        }
        let asked =
            tokio::time::timeout(LONGEST, transport.send(Request::get("/ServiceProviderConfig")))
                .await;
        let config = match asked.unwrap_or(Err(DirectoryError::Timeout)) {
            Ok(reply) if matches!(reply.status.as_u16(), 404 | 501) => {
                Some(ServiceProviderConfig::default())
            }
            Ok(reply) => match reply.read("a ServiceProviderConfig") {
                Err(error @ DirectoryError::RateLimited { .. }) => return Err(error),
                config => config.ok(),
            },
            Err(DirectoryError::Timeout) => None,
            Err(error) => return Err(error),
        };
        let (lasts, features) = match (&config, known.as_ref()) {
            (Some(config), _) => (FRESH, Arc::new(Features::of(config))),
            (None, Some(before)) => (UNSAID, before.features.clone()),
            (None, None) => (UNSAID, Arc::new(Features::of(&ServiceProviderConfig::default()))),
        };
        *known = Some(CachedFeatures { until: Instant::now() + lasts, features: features.clone() });
        Ok(features)
    }
}
