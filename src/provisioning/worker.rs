//! Sends entries to directories, outside of the event loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::task::JoinSet;

use super::queue::ProvisioningTask;
use super::secret_source::SecretSource;
use crate::provisioning::{Directory, DirectoryError, Entry, Groups, Provisioned};

/// Sends entries to directories and hands back their answers.
pub struct ProvisioningWorker {
    directories: Vec<Directory>,
    passwords: Arc<dyn SecretSource>,
    in_flight: JoinSet<ProvisioningAnswer>,
    group_cleanup: JoinSet<()>,
}

/// A directory's answer: its name, the entry that was sent, and the result.
pub type ProvisioningAnswer = (String, Entry, Result<Provisioned, DirectoryError>);

impl ProvisioningWorker {
    /// Returns a worker for these directories; the source is for those that take passwords'
    /// text.
    #[must_use]
    pub fn new(directories: Vec<Directory>, passwords: Arc<dyn SecretSource>) -> Self {
        Self { directories, passwords, in_flight: JoinSet::new(), group_cleanup: JoinSet::new() }
    }

    /// Sends an entry to a directory.
    pub fn send(&mut self, delivery: ProvisioningTask) {
        let Some(directory) =
            self.directories.iter().find(|one| one.name() == delivery.directory).cloned()
        else {
            return;
        };
        let passwords = self.passwords.clone();
        self.in_flight.spawn(async move {
            let bringing = Box::pin(async {
                let (entry, read) = with_text(&directory, &delivery, &*passwords).await;
                directory.provision(&entry).await.and_then(|provisioned| read.map(|()| provisioned))
            });
            // An entry without an answer would be in flight for ever.
            let answer = AssertUnwindSafe(bringing).catch_unwind().await;
            (delivery.directory, delivery.entry, answer.unwrap_or(Err(DirectoryError::Internal)))
        });
    }

    /// Drops the groups that organizations don't have any more in every directory, unless a cleanup
    /// is running.
    pub fn clean_up_groups(&mut self, present: &Groups) {
        while self.group_cleanup.try_join_next().is_some() {}
        if !self.group_cleanup.is_empty() {
            return;
        }
        for directory in &self.directories {
            let (directory, present) = (directory.clone(), present.clone());
            self.group_cleanup.spawn(async move {
                if let Err(error) = directory.drop_groups(&present).await {
                    // A refusal quotes the server, which may name members.
                    let why: &str = (&error).into();
                    tracing::warn!(directory = directory.name(), why, "group cleanup failed");
                }
            });
        }
    }

    /// Returns the answers that are there already.
    pub fn answers(&mut self) -> impl Iterator<Item = ProvisioningAnswer> {
        std::iter::from_fn(|| {
            loop {
                match self.in_flight.try_join_next()? {
                    Ok(answer) => return Some(answer),
                    Err(error) => tracing::error!(%error, "provisioning task failed"),
                }
            }
        })
    }

    /// Waits for the next answer; for ever while nothing is in flight.
    pub async fn answer(&mut self) -> ProvisioningAnswer {
        loop {
            match self.in_flight.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => tracing::error!(%error, "provisioning task failed"),
                None => std::future::pending().await,
            }
        }
    }
}

/// Returns the entry with the text of its password, if the directory takes texts, it is new, and a
/// Secret has it. If that can't be read, everything else is sent without it: no revocation waits
/// for a Secret.
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
