//! Manifests of the people of a directory: each account adopts its entry once the charge is
//! approved.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use serde_json::Value;
use uuid::{NoContext, Uuid};

use super::manifest::{self, Remark, comment, document};
use super::names::{Names, valid_name};
use super::record;
use super::valid::valid;
use crate::api::user::{DesiredState, GroupRef, PermissionsSpec, ProfileSpec};
use crate::api::{User, UserSpec};
use crate::cli::Failure;
use crate::cli::plan::schema::{Fault, Schemas};
use crate::cli::progress::ProgressReport;
use crate::domain::account::AccountId;
use crate::domain::email::{Domain, Email};
use crate::domain::group::{ADMINISTRATORS, GroupContent, USERS};
use crate::domain::organization::{CustomerId, LoginName};
use crate::domain::permission::Permission;
use crate::domain::profile::Profile;
use crate::domain::{text, time_zone};
use crate::plan::adoption::ENTRY;
use crate::plan::{Listing, OrganizationRecord, profile};
use crate::provisioning::{Directory, ImportedUser, People};
use crate::store::Store;

/// How long a name to show may be, in characters.
const LONGEST_NAME: usize = 128;

/// What is to be imported.
pub(super) struct ImportPlan<'a> {
    /// The address of the directory.
    pub(super) url: &'a str,
    /// The organization that its people belong to.
    pub(super) organization: &'a str,
    /// Its customer ID, where it was given.
    pub(super) customer_id: Option<&'a CustomerId>,
    /// Whether entries without an external id get one.
    pub(super) link: bool,
}

/// Returns the manifests of the people of a directory.
pub(super) async fn manifests(
    store: &impl Store,
    wanted: &ImportPlan<'_>,
    now: Timestamp,
    progress: &ProgressReport,
) -> Result<String, Failure> {
    let ImportPlan { url, organization, customer_id, link } = wanted;
    let directory = Directory::open(url)?;
    let People { people, unreadable_groups } = directory.people().await?;
    let record = record(store, organization).await?;
    let given = customer_id.cloned();
    let customer_id = match given.or_else(|| record.claimed.clone()) {
        Some(customer_id) => customer_id,
        None => CustomerId::parse(organization)?,
    };
    let ids: Vec<AccountId> = people.iter().filter_map(id_of).collect();
    let known = KnownAccounts {
        ids: store.known_ids(&ids).await?,
        accounts: accounts(store, organization).await?,
    };
    let mut import = Import::new(organization, customer_id, record, known)?;
    import.left_out = unreadable_groups;
    progress.step("reading entries", people.len());
    for found in people {
        import.take(found);
        progress.advance(1);
    }
    if *link {
        link_entries(&directory, &mut import, now, progress).await?;
    }
    import.text()
}

/// Returns the ids and the names that accounts of an organization have.
async fn accounts(
    store: &impl Store,
    organization: &str,
) -> Result<Vec<(AccountId, String, LoginName)>, Failure> {
    let accounts = store.list(Some(organization)).await?.into_iter();
    Ok(accounts.map(|account| (account.id, account.owner.name, account.login_name)).collect())
}

/// Writes a new id into each entry that has none.
async fn link_entries(
    directory: &Directory,
    import: &mut Import<'_>,
    now: Timestamp,
    progress: &ProgressReport,
) -> Result<(), Failure> {
    progress.step("linking entries", import.unlinked());
    for person in import.people.iter_mut().filter(|person| person.found.external_id.is_none()) {
        let id = new_id(now).to_string();
        directory.link(&person.found.id, &id).await?;
        progress.note(&format!(
            "linked: {} (entry {}) has the externalId {id} now",
            person.found.login_name, person.found.id
        ));
        progress.advance(1);
        person.found.external_id = Some(id);
    }
    Ok(())
}

fn new_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

/// Returns the external id of an entry as an account could have it: a UUID, written as roster
/// writes it.
fn id_of(found: &ImportedUser) -> Option<AccountId> {
    let text = found.external_id.as_ref()?;
    let id = Uuid::try_parse(text).ok()?;
    (id.to_string() == *text).then_some(AccountId(id))
}

/// What the store has.
struct KnownAccounts {
    ids: HashSet<AccountId>,
    accounts: Vec<(AccountId, String, LoginName)>,
}

/// People of a directory, as an organization's `User`s.
struct Import<'a> {
    organization: &'a str,
    customer_id: CustomerId,
    record: OrganizationRecord,
    known: KnownAccounts,
    schemas: Schemas,
    names: Names,
    usernames: Names,
    emails: BTreeMap<Email, String>,
    people: Vec<ImportedPerson>,
    groups: BTreeSet<String>,
    owned: usize,
    left_out: Vec<String>,
}

/// An entry that can become a `User`.
struct ImportedPerson {
    found: ImportedUser,
    name: String,
    spec: UserSpec,
    remarks: Vec<Remark<'static>>,
}

impl<'a> Import<'a> {
    fn new(
        organization: &'a str,
        customer_id: CustomerId,
        record: OrganizationRecord,
        known: KnownAccounts,
    ) -> Result<Self, Failure> {
        let names = Names::without(known.accounts.iter().map(|(_, user, _)| user.clone()));
        let usernames = Names::without(
            known.accounts.iter().map(|(_, _, login_name)| login_name.parts().0.to_owned()),
        );
        let (emails, people, groups, left_out) = (BTreeMap::new(), vec![], BTreeSet::new(), vec![]);
        let schemas = Schemas::new()?;
        Ok(Self {
            organization,
            customer_id,
            record,
            known,
            schemas,
            names,
            usernames,
            emails,
            people,
            groups,
            owned: 0,
            left_out,
        })
    }

    fn take(&mut self, found: ImportedUser) {
        let id = id_of(&found);
        let is_ours = self.known.accounts.iter().any(|(account, ..)| Some(*account) == id);
        let is_known = id.is_some_and(|id| self.known.ids.contains(&id));
        // The entries of other organizations aren't reported.
        if is_ours || (is_known && !found.login_name.ends_with(&format!(".{}", self.customer_id))) {
            self.owned += 1;
            return;
        }
        if let Err(why) = self.person(&found, id) {
            let who = if found.login_name.is_empty() { "unnamed" } else { &found.login_name };
            self.left_out.push(format!("{who} (entry {}): {why}", found.id));
        }
    }

    /// Takes an entry in, or says why it can't become a `User`.
    fn person(&mut self, found: &ImportedUser, id: Option<AccountId>) -> Result<(), String> {
        if id.is_some_and(|id| self.known.ids.contains(&id)) {
            return Err(
                "its externalId is an account's or was one's, so no new account can have it"
                    .to_owned(),
            );
        }
        if !found.unreadable.is_empty() {
            return Err(found.unreadable.join("; "));
        }
        let email = found.email.as_deref().ok_or("it has no email address")?;
        let parsed = Email::parse(email)
            .map_err(|error| format!("its email address {email} can't be used: {error}"))?;
        if Domain::parse(parsed.domain()).is_ok_and(|domain| domain.is_public_suffix()) {
            return Err(format!(
                "its email address {email} is in a public suffix, which can't be listed"
            ));
        }
        if let Some(other) = self.emails.get(&parsed) {
            return Err(format!("its email address {email} is that of {other} too"));
        }
        let asked = self.username(&found.login_name);
        let made = valid_name(&asked)
            .map_err(|why| format!("its userName: {why}; give it one in the letters a to z"))?;
        let mut remarks = further(&found.further);
        let group_ref = GroupRef { name: self.group(&found.groups, &mut remarks) };
        let spec = UserSpec {
            username: None,
            email: Some(email.to_owned()),
            profile: Some(profile_of(found, &mut remarks)),
            role: found.role.as_deref().and_then(one_line),
            teams: vec![],
            group_ref,
            permissions: permissions(&found.permissions, &mut remarks),
            copy_of: None,
            adopt: None,
            state: if found.active { DesiredState::Enabled } else { DesiredState::Disabled },
            password_secret_ref: None,
            charge_approved: false,
            deletion_protection: Default::default(),
            deletion_policy: Default::default(),
        };
        let spec = valid(&self.schemas, spec, no_time_zone, &mut remarks)?;
        let username = self.usernames.give(&made);
        let name = self.names.give(&username);
        if username != asked {
            let from = format!("Made of the userName {}.", found.login_name);
            remarks.push(Remark { field: "username", lines: vec![from], instead: false });
        }
        let shown = (username != name || username != asked).then(|| username.clone());
        let spec = UserSpec { username: shown, ..spec };
        self.emails.insert(parsed, found.login_name.clone());
        self.people.push(ImportedPerson { found: found.clone(), name, spec, remarks });
        Ok(())
    }

    /// Returns the username in a userName: what stands before the customer ID, or before the `@` of
    /// an address.
    fn username(&self, login_name: &str) -> String {
        let before = login_name.strip_suffix(&format!(".{}", self.customer_id));
        let before = before.or_else(|| login_name.split_once('@').map(|(local, _)| local));
        before.unwrap_or(login_name).to_owned()
    }

    /// Returns the one group that an entry is in.
    fn group(&mut self, groups: &[String], remarks: &mut Vec<Remark<'static>>) -> String {
        let own = format!("{}/", self.organization);
        let has_full_control = |name: &str| {
            name == ADMINISTRATORS
                || self.record.group(name).is_some_and(|group| group.full_control)
        };
        let mapped = groups.iter().filter_map(|group| match group.strip_prefix(&own) {
            Some(name) => {
                Some(name.to_owned()).filter(|name| valid_name(name).as_ref() == Ok(name))
            }
            None if group.contains('/') => None,
            // A group of that name in a directory isn't meant to give full control here.
            None => valid_name(group).ok().filter(|name| !has_full_control(name)),
        });
        let mapped: BTreeSet<String> = mapped.collect();
        match mapped.iter().next() {
            Some(only) if mapped.len() == 1 => {
                self.groups.insert(only.clone());
                only.clone()
            }
            _ => {
                if !groups.is_empty() {
                    let line = format!(
                        "In the directory in {}, none of which is clearly the one.",
                        groups.join(", ")
                    );
                    remarks.push(Remark { field: "groupRef", lines: vec![line], instead: false });
                }
                USERS.to_owned()
            }
        }
    }

    fn text(self) -> Result<String, Failure> {
        let mut text = self.head();
        let mut names = Names::without(self.record.listings.keys().cloned());
        for domain in self.unlisted() {
            let name = names.give(&domain);
            let listing = Listing {
                domain: Domain::parse(&domain).map_err(|error| error.to_string())?,
                include_subdomains: false,
            };
            text += &document(&[], &manifest::listing(self.organization, &name, &listing), &[])?;
        }
        for name in self.groups.iter().filter(|name| self.record.group(name).is_none()) {
            let line = "A group of the directory. It gives nothing until permissions are listed."
                .to_owned();
            text += &document(
                &[line],
                &manifest::group(self.organization, name, &GroupContent::default())?,
                &[],
            )?;
        }
        for person in self.people {
            text += &manifest_of(self.organization, person)?;
        }
        if !self.left_out.is_empty() {
            text += "---\n";
            text += &comment("", "Left out:");
            self.left_out.iter().for_each(|line| text += &comment("", &format!("- {line}")));
        }
        Ok(text)
    }

    fn head(&self) -> String {
        let mut lines = vec![
            format!("People of the directory for the organization {}: {}.", self.organization, self.people.len()),
            "No account is created until its charge is approved, by removing the # before chargeApproved.".to_owned(),
            format!("Their login names will be <username>.{}, and the directory's userName with them.", self.customer_id),
            String::new(),
            "  roster plan -f FILE      says what would become of them".to_owned(),
            "  kubectl apply -f FILE    with the charges approved: each account takes its entry over".to_owned(),
        ];
        let unlinked = self.unlinked();
        if unlinked > 0 {
            lines.push(String::new());
            lines.push(format!(
                "Entries without an externalId: {unlinked}. Run this again with --link, or they get doubles, of which the directory refuses no more than those with the same userName."
            ));
        }
        if self.owned > 0 {
            lines.push(String::new());
            lines.push(format!(
                "Entries of accounts that the store has or had, which aren't here: {}.",
                self.owned
            ));
        }
        lines.iter().map(|line| comment("", line)).collect()
    }

    /// Returns how many entries have no external id.
    fn unlinked(&self) -> usize {
        self.people.iter().filter(|person| person.found.external_id.is_none()).count()
    }

    /// Returns the domains of the people that the store doesn't list.
    fn unlisted(&self) -> BTreeSet<String> {
        let none = BTreeSet::new();
        let domains = self
            .emails
            .keys()
            .map(Email::domain)
            .filter(|domain| self.record.listing_of(domain, &none).is_none());
        domains.map(str::to_owned).collect()
    }
}

fn manifest_of(namespace: &str, person: ImportedPerson) -> Result<String, Failure> {
    let ImportedPerson { found, name, spec, mut remarks } = person;
    let adopt = id_of(&found).map(|id| format!("{ENTRY}{id}"));
    let above = match (&adopt, &found.external_id) {
        (Some(_), _) => format!("Entry {}, {}", found.id, found.login_name),
        (None, None) => format!(
            "Entry {}, {}: it has no externalId, so it can't be taken over yet",
            found.id, found.login_name
        ),
        (None, Some(_)) => format!(
            "Entry {}, {}: its externalId is another system's and no UUID, so it can't be taken over; its double would be refused",
            found.id, found.login_name
        ),
    };
    let said = |field, lines: &[&str]| Remark {
        field,
        lines: lines.iter().map(|&line| line.to_owned()).collect(),
        instead: true,
    };
    let charge = ["chargeApproved: true    # approve: true creates an account and is billed"];
    remarks.extend([
        said("chargeApproved", &charge),
        said("deletionProtection", &[]),
        said("deletionPolicy", &[]),
    ]);
    let user = User {
        metadata: manifest::metadata(namespace, &name),
        spec: UserSpec { adopt, ..spec },
        status: None,
    };
    document(&[above], &user, &remarks)
}

fn profile_of(found: &ImportedUser, remarks: &mut Vec<Remark<'static>>) -> ProfileSpec {
    let mut remark =
        |line: String| remarks.push(Remark { field: "profile", lines: vec![line], instead: false });
    let Profile { display_name, phone, .. } = &found.profile;
    let named = one_line(display_name);
    if named.is_none() {
        remark("The directory has no name to show, so this is the userName.".to_owned());
    }
    let name = named.or_else(|| one_line(&found.login_name));
    if name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
        remark(format!("The name to show is cut off after {LONGEST_NAME} characters."));
    }
    let name =
        name.map(|name| name.chars().take(LONGEST_NAME).collect::<String>().trim_end().to_owned());
    let phone = phone.as_deref().and_then(one_line);
    ProfileSpec { display_name: name, phone, ..profile::spec(found.profile.clone()) }
}

/// Returns remarks on the values that an account has no field for.
fn further(further: &BTreeMap<&'static str, usize>) -> Vec<Remark<'static>> {
    let remark = |(attribute, number): (&&str, &usize)| {
        let (field, one, several) = match *attribute {
            "emails" => ("email", "email address", "email addresses"),
            "phoneNumbers" => ("profile", "phone number", "phone numbers"),
            "addresses" => ("profile", "postal address", "postal addresses"),
            "roles" => ("profile", "role", "roles"),
            other => ("profile", other, other),
        };
        let (values, go) = if *number == 1 { (one, "goes") } else { (several, "go") };
        let line =
            format!("The directory has {number} more {values}, which {go} with the take-over.");
        Remark { field, lines: vec![line], instead: false }
    };
    further.iter().map(remark).collect()
}

/// Returns the permissions among the entitlements.
fn permissions(
    entitlements: &[String],
    remarks: &mut Vec<Remark<'static>>,
) -> Option<PermissionsSpec> {
    let (grants, others): (Vec<String>, Vec<String>) = entitlements
        .iter()
        .cloned()
        .partition(|entitlement| Permission::parse(entitlement).is_ok());
    if !others.is_empty() {
        let line = format!(
            "Entitlements that aren't permissions are left out, and go with the take-over: {}.",
            others.join(", ")
        );
        remarks.push(Remark { field: "state", lines: vec![line], instead: false });
    }
    (!grants.is_empty()).then_some(PermissionsSpec { grants, from: None })
}

/// Returns that a spec names a time zone that there isn't, which the schema lets through.
fn no_time_zone(spec: &Value) -> Option<Fault> {
    let zone = spec.pointer("/profile/timeZone")?.as_str()?;
    let message = time_zone::known(zone).err().map(|why| format!("{zone} {why}"))?;
    Some(Fault { path: "spec.profile.timeZone".to_owned(), message })
}

/// Returns a text on one line; nothing if none of its characters is visible.
fn one_line(text: &str) -> Option<String> {
    let line: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let line = line.trim().to_owned();
    (!line.is_empty() && text::readable(&line).is_ok()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_read_is_left_out_with_the_reason_and_the_others_are_not() {
        let read = |id: &str, unreadable: &[&str]| ImportedUser {
            id: id.to_owned(),
            external_id: None,
            login_name: if id == "3" { String::new() } else { format!("name{id}") },
            active: true,
            email: Some(format!("name{id}@acme.example")),
            profile: Profile::default(),
            role: None,
            permissions: vec![],
            groups: vec![],
            further: BTreeMap::new(),
            unreadable: unreadable.iter().map(|&why| why.to_owned()).collect(),
        };
        let (record, known) = (
            OrganizationRecord::default(),
            KnownAccounts { ids: HashSet::new(), accounts: vec![] },
        );
        let mut import =
            Import::new("acme", CustomerId::parse("acme").unwrap(), record, known).unwrap();
        import.take(read("1", &["emails isn't a list", "active is neither true nor false"]));
        import.take(read("2", &[]));
        import.take(read("3", &["it has no userName"]));
        for (id, name) in [("4", "Łukasz"), ("5", "日本"), ("6", "ivan.Петров"), ("7", "🙂")]
        {
            import.take(ImportedUser { login_name: name.to_owned(), ..read(id, &[]) });
        }
        assert_eq!(
            import.people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(),
            ["name2", "lukasz"]
        );
        let text = import.text().unwrap();
        let left_out = text.split("# Left out:\n").nth(1).unwrap();
        assert_eq!(
            left_out,
            [
                "# - name1 (entry 1): emails isn't a list; active is neither true nor false\n",
                "# - unnamed (entry 3): it has no userName\n",
                "# - 日本 (entry 5): its userName: 日 has no letter of ASCII to stand for it, so no username is made of it; give it one in the letters a to z\n",
                "# - ivan.Петров (entry 6): its userName: п has no letter of ASCII to stand for it, so no username is made of it; give it one in the letters a to z\n",
                "# - 🙂 (entry 7): its userName: nothing of it can stay in a username; give it one in the letters a to z\n",
            ]
            .concat()
        );
    }

    #[test]
    fn what_nobody_sees_and_time_zones_that_there_arent_are_left_out() {
        let found = ImportedUser {
            id: "1".to_owned(),
            external_id: None,
            login_name: "alice".to_owned(),
            active: true,
            email: Some("alice@acme.example".to_owned()),
            profile: Profile {
                display_name: "\u{200b}".to_owned(),
                phone: Some(" \u{2800}".to_owned()),
                address: Some(crate::domain::profile::PostalAddress {
                    street: vec!["1 Main Street".to_owned()],
                    locality: Some("\u{3164}".to_owned()),
                    ..Default::default()
                }),
                time_zone: Some("America/Pheonix".to_owned()),
                ..Profile::default()
            },
            role: Some("\u{ad}".to_owned()),
            permissions: vec![],
            groups: vec![],
            further: BTreeMap::new(),
            unreadable: vec![],
        };
        let (record, known) = (
            OrganizationRecord::default(),
            KnownAccounts { ids: HashSet::new(), accounts: vec![] },
        );
        let mut import =
            Import::new("acme", CustomerId::parse("acme").unwrap(), record, known).unwrap();
        import.take(found);
        let spec = &import.people[0].spec;
        let profile = spec.profile.clone().unwrap();
        assert_eq!(
            (profile.display_name.as_deref(), &profile.phone, &spec.role),
            (Some("alice"), &None, &None)
        );
        let address = profile.address.unwrap();
        assert_eq!(
            (address.street, address.locality, profile.time_zone),
            (vec!["1 Main Street".to_owned()], None, None)
        );
        let text = import.text().unwrap();
        assert!(
            text.contains("locality is left out, and goes with the take-over: has only characters"),
            "{text}"
        );
        assert!(text.contains("(America/Phoenix?)"), "{text}");
    }
}
