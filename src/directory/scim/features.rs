//! What a server can do, as it says itself and as it turns out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::messages::{BulkConfig, Kind, ServiceProviderConfig, Supported};
use super::transport::{Request, Transport};
use crate::directory::DirectoryError;

/// How long a server is believed.
const FRESH: Duration = Duration::from_secs(600);

/// What a server can do.
#[derive(Debug)]
pub(super) struct Features {
    patch: bool,
    filter: bool,
    pub(super) etag: bool,
    bulk: Option<BulkLimits>,
    /// What it said it could do, and then couldn't.
    failed: Mutex<BTreeSet<Ability>>,
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
    /// A filter with `or`.
    Or,
    /// A filter of a kind of resources by an attribute and an operator, such as `externalId eq`.
    Filter(Kind, &'static str),
    /// Giving the members of groups along in what a filter finds; they may be too many.
    Members,
    /// Taking somebody out of a group by a path that names them.
    MemberPath,
}

impl Features {
    fn of(config: &ServiceProviderConfig) -> Self {
        let ServiceProviderConfig { patch, filter, etag, bulk } = config;
        let says = |it: &Option<Supported>, unsaid| it.map_or(unsaid, |it| it.supported);
        let BulkConfig { supported, max_operations, max_payload_size } = bulk.unwrap_or_default();
        let limits = BulkLimits {
            operations: max_operations.unwrap_or(100).min(100),
            bytes: max_payload_size.unwrap_or(1 << 20).min(1 << 20),
        };
        Self {
            patch: says(patch, true),
            filter: says(filter, true),
            etag: says(etag, false),
            bulk: Some(limits).filter(|limits| supported && limits.operations > 1),
            failed: Mutex::default(),
        }
    }

    /// Whether it is worth a try.
    pub(super) fn has(&self, ability: Ability) -> bool {
        let says = match ability {
            Ability::Patch => self.patch,
            Ability::Bulk => self.bulk.is_some(),
            Ability::Or | Ability::Filter(..) => self.filter,
            Ability::Members | Ability::MemberPath => true,
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
pub(super) struct KnownFeatures(tokio::sync::Mutex<Option<(Instant, Arc<Features>)>>);

impl KnownFeatures {
    /// Returns what the server can do. One that doesn't say so can change resources in part and filter them.
    ///
    /// # Errors
    /// When it can't be asked.
    pub(super) async fn get(&self, transport: &Transport) -> Result<Arc<Features>, DirectoryError> {
        let mut known = self.0.lock().await;
        if let Some((_, features)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(features.clone());
        }
        let reply = transport.send(Request::get("/ServiceProviderConfig")).await?;
        let config = match reply.status.as_u16() {
            404 | 501 => ServiceProviderConfig::default(),
            _ => reply.read("a ServiceProviderConfig")?,
        };
        let features = Arc::new(Features::of(&config));
        *known = Some((Instant::now(), features.clone()));
        Ok(features)
    }
}
