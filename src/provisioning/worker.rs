//! Who brings entries to directories, off the loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::task::JoinSet;

use super::queue::ProvisioningTask;
use super::secret_source::SecretSource;
use crate::provisioning::{Directory, DirectoryError, Entry, Groups, Provisioned};

/// Brings entries to directories and executors back what they answered.
pub struct ProvisioningWorker {
    directories: Vec<Directory>,
    passwords: Arc<dyn SecretSource>,
    under_way: JoinSet<ProvisioningAnswer>,
    tidying: JoinSet<()>,
}

/// What a directory answered: its name, the entry that it was brought, and how it went.
pub type ProvisioningAnswer = (String, Entry, Result<Provisioned, DirectoryError>);

impl ProvisioningWorker {
    /// Returns a worker to these directories, with this reader for those that take passwords'
    /// text.
    #[must_use]
    pub fn new(directories: Vec<Directory>, passwords: Arc<dyn SecretSource>) -> Self {
        Self { directories, passwords, under_way: JoinSet::new(), tidying: JoinSet::new() }
    }

    /// Brings an entry to a directory.
    pub fn send(&mut self, delivery: ProvisioningTask) {
        let Some(directory) =
            self.directories.iter().find(|one| one.name() == delivery.directory).cloned()
        else {
            return;
        };
        let passwords = self.passwords.clone();
        self.under_way.spawn(async move {
            let bringing = Box::pin(async {
                let (entry, read) = with_text(&directory, &delivery, &*passwords).await;
                directory.provision(&entry).await.and_then(|provisioned| read.map(|()| provisioned))
            });
            // An entry without an answer would be on its way for ever.
            let answer = AssertUnwindSafe(bringing).catch_unwind().await;
            (delivery.directory, delivery.entry, answer.unwrap_or(Err(DirectoryError::Internal)))
        });
    }

    /// Has every directory drop the groups that organizations don't have any more, unless that is
    /// under way.
    pub fn tidy(&mut self, present: &Groups) {
        while self.tidying.try_join_next().is_some() {}
        if !self.tidying.is_empty() {
            return;
        }
        for directory in &self.directories {
            let (directory, present) = (directory.clone(), present.clone());
            self.tidying.spawn(async move {
                if let Err(error) = directory.drop_groups(&present).await {
                    // A refusal quotes the server, which may name members.
                    let why: &str = (&error).into();
                    tracing::warn!(
                        directory = directory.name(),
                        why,
                        "groups that are gone are left for the next look"
                    );
                }
            });
        }
    }

    /// Returns the answers that are there already.
    pub fn answers(&mut self) -> impl Iterator<Item = ProvisioningAnswer> {
        std::iter::from_fn(|| {
            loop {
                match self.under_way.try_join_next()? {
                    Ok(answer) => return Some(answer),
                    Err(error) => tracing::error!(%error, "an entry was left without an answer"),
                }
            }
        })
    }

    /// Waits for the next answer; for ever while nothing is under way.
    pub async fn answer(&mut self) -> ProvisioningAnswer {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => tracing::error!(%error, "an entry was left without an answer"),
                None => std::future::pending().await,
            }
        }
    }
}

/// Returns the entry with the text of its password, where the directory takes texts, it is new, and
/// a Secret has it. Where that can't be read, everything else is brought without it: no revocation
/// waits for a Secret.
async fn with_text(
    directory: &Directory,
    delivery: &ProvisioningTask,
    passwords: &dyn SecretSource,
) -> (Entry, Result<(), DirectoryError>) {
    let mut entry = delivery.entry.clone();
    let place = delivery.password.as_ref().filter(|_| directory.takes_password_texts());
    let (Some(place), Some(person)) = (place, &mut entry.person) else { return (entry, Ok(())) };
    let Some(password) = person.password.as_mut().filter(|password| password.is_new) else {
        return (entry, Ok(()));
    };
    match passwords.text(&entry.organization, place, &password.hash).await {
        Ok(text) => password.text = text.map(Arc::new),
        Err(_) => {
            password.is_unread = true;
            return (entry, Err(DirectoryError::SecretUnavailable));
        }
    }
    (entry, Ok(()))
}
