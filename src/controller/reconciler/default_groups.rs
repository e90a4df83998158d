//! The groups `administrators` and `users`, which every organization has.

use std::collections::HashSet;

use kube::api::ObjectMeta;

use crate::api::{UserGroup, UserGroupSpec};
use crate::controller::cache::ClusterCache;
use crate::controller::object_writer::Write;
use crate::controller::observe;
use crate::domain::group::ADMINISTRATORS;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::organization;

/// The default groups that are being created and that no watch has reported yet, by namespace and
/// name.
#[derive(Debug, Default)]
pub(super) struct DefaultGroups(HashSet<(String, &'static str)>);

impl DefaultGroups {
    /// Returns the writes that create the default groups which an organization lacks.
    pub(super) fn create_missing(
        &mut self,
        cache: &ClusterCache,
        organization: &ObjectKey,
    ) -> Vec<Write> {
        let namespace = &organization.namespace;
        let missing = organization::missing_groups(&observe::organization(cache, namespace));
        let new = missing.into_iter().filter(|name| self.0.insert((namespace.clone(), name)));
        new.map(|name| Write::NewGroup {
            organization: organization.clone(),
            group: Box::new(default_group(namespace, name)),
        })
        .collect()
    }

    /// Forgets a group that a list or a watch reported.
    pub(super) fn observed(&mut self, key: &ObjectKey) {
        self.0.retain(|(namespace, name)| *namespace != key.namespace || *name != key.name);
    }

    /// Forgets the groups of an organization whose creation failed.
    pub(super) fn write_failed(&mut self, key: &ObjectKey) {
        self.0
            .retain(|(namespace, _)| key.kind != Kind::Organization || *namespace != key.namespace);
    }

    /// Forgets all groups: the cluster may have lost those that were created.
    pub(super) fn rolled_back(&mut self) {
        self.0.clear();
    }
}

fn default_group(namespace: &str, name: &str) -> UserGroup {
    UserGroup {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: UserGroupSpec { full_control: name == ADMINISTRATORS, ..UserGroupSpec::default() },
        status: None,
    }
}
