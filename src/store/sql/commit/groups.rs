//! Groups and listed domains, as a commit changes them, and who of an organization stays in
//! control.

use std::collections::BTreeSet;

use super::{CommitError, Writer, refuse_if};
use crate::domain::group::GroupContent;
use crate::plan::{AdminCoverage, Deleting, Listing, needs};
use crate::store::sql::connection::{statement, texts};
use crate::store::sql::rows;
use crate::store::{Receipt, Refusal};

/// Whether an account's `User` isn't among those that are being deleted with their accounts, whose
/// names a parameter lists.
macro_rules! stays {
    ($leaving:literal) => {
        concat!("(owner_name IS NULL OR owner_name NOT IN (", texts!($leaving), "))")
    };
}

/// Whether an account counts as a user's who stays: a parameter lists names of `User`s, and another
/// says whether it is these that count, or all others.
macro_rules! counts {
    ($names:literal, $these:literal) => {
        concat!("(COALESCE(owner_name, '') IN (", texts!($names), ")) = ", $these)
    };
}

impl Writer<'_> {
    /// Somebody who stays is in control, unless nobody stays.
    pub(super) async fn check_control(
        &mut self,
        namespace: &str,
        leaving: &Deleting,
    ) -> Result<(), CommitError> {
        let groups = rows::groups_in_control(self.connection, namespace).await?;
        self.check_control_by(namespace, leaving, &groups).await
    }

    async fn check_control_by(
        &mut self,
        namespace: &str,
        leaving: &Deleting,
        groups: &BTreeSet<String>,
    ) -> Result<(), CommitError> {
        let row = statement(concat!(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name IN (",
            texts!("$3"),
            ") AND state = 'Enabled' AND ",
            counts!("$2", "$4"),
            ") AS administrators, EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND ",
            counts!("$2", "$4"),
            ") AS users"
        ))
        .bind(namespace)
        .bind(rows::texts(leaving.last.as_deref().unwrap_or(&leaving.deleted)))
        .bind(rows::texts(groups))
        .bind(leaving.last.is_some())
        .fetch_one(self.connection)
        .await?;
        let control =
            AdminCoverage { administrators: row.get("administrators")?, users: row.get("users")? };
        Ok(refuse_if(control.is_lost(), Refusal::LastAdministrator)?)
    }

    pub(super) async fn put_group(
        &mut self,
        [namespace, name]: [&str; 2],
        content: &GroupContent,
        leaving: &Deleting,
    ) -> Result<Receipt, CommitError> {
        let GroupContent { full_control, permissions, self_service } = content;
        if !full_control {
            self.check_control_without(namespace, name, leaving).await?;
        }
        statement(
            "INSERT INTO groups (namespace, name, full_control, permissions, self_service) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (namespace, name) DO UPDATE SET full_control = excluded.full_control, \
             permissions = excluded.permissions, self_service = excluded.self_service",
        )
        .bind(namespace)
        .bind(name)
        .bind(*full_control)
        .bind(rows::permission_texts(permissions))
        .bind(rows::json(self_service))
        .execute(self.connection)
        .await?;
        Ok(Receipt::Done)
    }

    /// As [`Self::check_control`], where a group that gives full control now won't afterwards.
    async fn check_control_without(
        &mut self,
        namespace: &str,
        group: &str,
        leaving: &Deleting,
    ) -> Result<(), CommitError> {
        let mut groups = rows::groups_in_control(self.connection, namespace).await?;
        if !groups.remove(group) {
            return Ok(());
        }
        let used = statement(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name = $2 AND state = 'Enabled')",
        );
        if used.bind(namespace).bind(group).fetch_first(self.connection).await? {
            self.check_control_by(namespace, leaving, &groups).await?;
        }
        Ok(())
    }

    pub(super) async fn drop_group(
        &mut self,
        [namespace, name]: [&str; 2],
        leaving: &Deleting,
    ) -> Result<Receipt, CommitError> {
        let has_members = statement(concat!(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name = $2 AND ",
            stays!("$3"),
            ")"
        ));
        let has_members =
            has_members.bind(namespace).bind(name).bind(rows::texts(leaving.deleted.as_ref()));
        refuse_if(has_members.fetch_first(self.connection).await?, Refusal::InUse)?;
        if !GroupContent::built_in(name).is_some_and(|group| group.full_control) {
            self.check_control_without(namespace, name, leaving).await?;
        }
        let query = statement("DELETE FROM groups WHERE namespace = $1 AND name = $2");
        query.bind(namespace).bind(name).execute(self.connection).await?;
        Ok(Receipt::Done)
    }

    pub(super) async fn put_domain(
        &mut self,
        [namespace, name]: [&str; 2],
        listing: &Listing,
    ) -> Result<Receipt, CommitError> {
        let taken = self
            .known
            .listings(namespace)
            .any(|(other, listed)| other != name && listed.domain == listing.domain);
        refuse_if(taken, Refusal::DomainTaken)?;
        statement(
            "INSERT INTO domains (namespace, name, domain, include_subdomains) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (namespace, name) DO UPDATE \
             SET domain = excluded.domain, include_subdomains = excluded.include_subdomains",
        )
        .bind(namespace)
        .bind(name)
        .bind(listing.domain.as_str())
        .bind(listing.include_subdomains)
        .execute(self.connection)
        .await?;
        Ok(Receipt::Done)
    }

    pub(super) async fn drop_domain(
        &mut self,
        [namespace, name]: [&str; 2],
        leaving: &Deleting,
    ) -> Result<Receipt, CommitError> {
        let used: Vec<String> = statement(concat!(
            "SELECT DISTINCT email_domain FROM accounts WHERE namespace = $1 AND ",
            stays!("$2")
        ))
        .bind(namespace)
        .bind(rows::texts(leaving.deleted.as_ref()))
        .fetch_firsts(self.connection)
        .await?;
        let only_here = |domain: &String| needs(self.known.listings(namespace), name, domain);
        refuse_if(used.iter().any(only_here), Refusal::InUse)?;
        let query = statement("DELETE FROM domains WHERE namespace = $1 AND name = $2");
        query.bind(namespace).bind(name).execute(self.connection).await?;
        Ok(Receipt::Done)
    }
}
