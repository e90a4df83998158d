//! All entries under `ou=people`.

use std::collections::{HashMap, HashSet};

use super::connection::LdapEntry;
use super::handle::LdapHandle;
use super::lookup::spelling;
use super::mapping::{EMPLOYEE_NUMBER, MEMBER_OF, PASSWORD, UID, UUID};
use super::{Ldap, MARK};
use crate::domain::account::{AccountId, EntryHandle};
use crate::provisioning::{DirectoryError, ListedEntry};

impl Ldap {
    /// Returns all entries under `ou=people`. One of which it isn't known that it has no password
    /// counts as active: the server may hide it.
    pub(in crate::provisioning) async fn list_entries(
        &self,
    ) -> Result<Vec<ListedEntry>, DirectoryError> {
        let mut connection = self.pool.connection(false).await?;
        let of_people = "(|(objectClass=person)(employeeNumber=*))";
        let read = &[UID, EMPLOYEE_NUMBER, PASSWORD, UUID, MEMBER_OF];
        let people = connection.search_all(&self.people, of_people, read).await?;
        let without = format!("(&{of_people}(!({PASSWORD}=*)))");
        let without = connection.search_all(&self.people, &without, &["1.1"]).await?;
        let without: HashSet<String> = without.iter().map(|found| spelling(&found.dn)).collect();
        let of_roster = format!("(&(objectClass=groupOfNames)(businessCategory={MARK}))");
        let groups = connection.search_all(&self.groups, &of_roster, &["cn", "member"]).await?;
        let mut groups_of: HashMap<String, Vec<String>> = HashMap::new();
        for group in &groups {
            for member in group.values("member") {
                groups_of.entry(spelling(member)).or_default().push(name_of(group));
            }
        }
        let names: HashMap<String, String> =
            groups.iter().map(|group| (spelling(&group.dn), name_of(group))).collect();
        let listed = |found: LdapEntry| {
            let place = spelling(&found.dn);
            // A group may not show its members, or an entry not its groups.
            let mut groups = groups_of.get(&place).cloned().unwrap_or_default();
            groups.extend(
                found
                    .values(MEMBER_OF)
                    .iter()
                    .filter_map(|group| names.get(&spelling(group)).cloned()),
            );
            groups.sort();
            groups.dedup();
            let number = found
                .first(EMPLOYEE_NUMBER)
                .and_then(|number| uuid::Uuid::parse_str(number.trim()).ok());
            ListedEntry {
                handle: handle_of(&found),
                account: number.map(AccountId),
                login_name: found.first(UID).unwrap_or_default().to_owned(),
                active: found.shows(PASSWORD) || !without.contains(&place),
                groups,
            }
        };
        Ok(people.into_iter().map(listed).collect())
    }
}

fn name_of(group: &LdapEntry) -> String {
    group.first("cn").unwrap_or(&group.dn).to_owned()
}

fn handle_of(found: &LdapEntry) -> EntryHandle {
    let handle =
        LdapHandle { dn: found.dn.clone(), uuid: found.uuid().map(str::to_owned), group: None };
    handle.to_stored().unwrap_or_else(|| EntryHandle(found.dn.clone()))
}
