//! The groups `administrators` and `users`, which every organization has.

use kube::api::ObjectMeta;

use crate::api::{UserGroup, UserGroupSpec};
use crate::controller::object_writer::Write;
use crate::controller::observe;
use crate::controller::reconciler::Reconciler;
use crate::domain::group::ADMINISTRATORS;
use crate::domain::object_key::ObjectKey;
use crate::plan::organization;
use crate::store::{Store, StoreError};

impl<S: Store> Reconciler<S> {
    /// Creates the default groups that organizations lack, and looks at what the store still has of
    /// objects that went without our knowing.
    pub(super) async fn ensure_default_groups(
        &mut self,
        keys: Vec<ObjectKey>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let ghosts = observe::orphaned_records(&self.cache, &self.store, &keys).await?;
        self.enqueue(ghosts);
        for key in keys {
            self.queue.succeeded(&key);
            for name in
                organization::missing_groups(&observe::organization(&self.cache, &key.namespace))
            {
                if self.pending_default_groups.insert((key.namespace.clone(), name)) {
                    let group = Box::new(default_group(&key.namespace, name));
                    self.other_writes.push(Write::NewGroup { organization: key.clone(), group });
                }
            }
        }
        Ok(())
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
