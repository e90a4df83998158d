//! Somebody who looks at the server, and changes it, without roster.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ldap3::{Ldap, LdapConnAsync, Mod, Scope, SearchEntry, ldap_escape};
use roster::provisioning::Entry;
use roster_test_support::slapd::{BASE, Server};

/// What an entry has, without what the server adds.
pub(super) type Attributes = BTreeMap<String, BTreeSet<String>>;

/// An administrator's connection.
pub(super) struct Observer {
    url: String,
    password: String,
    ldap: Ldap,
}

impl Observer {
    pub(super) async fn connect(server: &Server) -> Self {
        let url = format!("ldap://127.0.0.1:{}", server.port());
        let password = server.password();
        let mut ldap = connection(&url).await;
        ldap.simple_bind(&format!("cn=admin,{BASE}"), &password).await.unwrap().success().unwrap();
        Self { url, password, ldap }
    }

    pub(super) async fn reconnect(&mut self) {
        let mut ldap = connection(&self.url).await;
        ldap.simple_bind(&format!("cn=admin,{BASE}"), &self.password)
            .await
            .unwrap()
            .success()
            .unwrap();
        self.ldap = ldap;
    }

    /// Returns the connection itself.
    pub(super) fn ldap(&self) -> Ldap {
        self.ldap.clone()
    }

    /// Returns what is found below the base, by DN.
    pub(super) async fn found(
        &self,
        filter: &str,
        attributes: &[&str],
    ) -> BTreeMap<String, Attributes> {
        self.found_under(BASE, filter, attributes).await
    }

    /// Returns what is found below another one.
    pub(super) async fn found_under(
        &self,
        base: &str,
        filter: &str,
        attributes: &[&str],
    ) -> BTreeMap<String, Attributes> {
        let found =
            self.ldap.clone().search(base, Scope::Subtree, filter, attributes).await.unwrap();
        let (entries, _) = found.success().unwrap();
        let entries = entries.into_iter().map(SearchEntry::construct);
        entries
            .map(|entry| {
                (
                    entry.dn,
                    entry
                        .attrs
                        .into_iter()
                        .map(|(name, all)| (name, all.into_iter().collect()))
                        .collect(),
                )
            })
            .collect()
    }

    /// Returns the one entry of an account, and its DN.
    pub(super) async fn entry_of(&self, entry: &Entry) -> (String, Attributes) {
        let mut found = self.found(&format!("(employeeNumber={})", entry.account), &["*"]).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.pop_first().unwrap()
    }

    /// Returns the one value of an attribute of an account's entry.
    pub(super) async fn value(&self, entry: &Entry, attribute: &str) -> Option<String> {
        let (_, attributes) = self.entry_of(entry).await;
        let values = attributes.get(attribute)?;
        assert_eq!(values.len(), 1, "{values:?}");
        values.first().cloned()
    }

    /// Whether anything is left of an account.
    pub(super) async fn has(&self, entry: &Entry) -> bool {
        !self.found(&format!("(employeeNumber={})", entry.account), &["*"]).await.is_empty()
    }

    /// Returns the groups by name, with the login names of their members.
    pub(super) async fn groups(&self) -> BTreeMap<String, BTreeSet<String>> {
        let groups = self.found("(objectClass=groupOfNames)", &["cn", "member"]).await;
        let name = |dn: &String| dn.split(['=', ',']).nth(1).unwrap().to_owned();
        let groups = groups.values().map(|group| {
            (group["cn"].first().unwrap().clone(), group["member"].iter().map(name).collect())
        });
        groups.collect()
    }

    /// Returns what `memberOf` says of an account's entry: the names of the groups.
    pub(super) async fn member_of(&self, entry: &Entry) -> BTreeSet<String> {
        let found = self.found(&format!("(employeeNumber={})", entry.account), &["memberOf"]).await;
        let groups =
            found.values().flat_map(|attributes| attributes.get("memberOf").into_iter().flatten());
        groups.map(|dn| dn.split(['=', ',']).nth(1).unwrap().to_owned()).collect()
    }

    /// Whether somebody can bind as this login name with this password.
    pub(super) async fn binds(&self, login_name: &str, password: &str) -> bool {
        let found = self.found(&format!("(uid={})", ldap_escape(login_name)), &["1.1"]).await;
        let dn = found.keys().next().expect("there is such a login name");
        self.binds_at(dn, password).await
    }

    /// Whether somebody can bind at a DN with this password.
    pub(super) async fn binds_at(&self, dn: &str, password: &str) -> bool {
        let answer = connection(&self.url).await.simple_bind(dn, password).await.unwrap();
        assert!([0, 48, 49, 53].contains(&answer.rc), "{answer}");
        answer.rc == 0
    }

    /// Changes who may do what, from now on: what each rule is to, and what cn=writer may.
    pub(super) async fn set_access(&self, rules: &[(&str, &str)]) {
        let rule = |(at, (to, right)): (usize, &(&str, &str))| {
            format!(
                "{{{at}}}to {to} by dn.exact=\"cn=writer,{BASE}\" {right} by anonymous auth by * none"
            )
        };
        let rules: HashSet<String> = rules.iter().enumerate().map(rule).collect();
        let change = vec![Mod::Replace("olcAccess".to_owned(), rules)];
        self.ldap
            .clone()
            .modify("olcDatabase={1}mdb,cn=config", change)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    /// Has the server give nobody but itself more than this at once.
    pub(super) async fn limit(&self, entries: usize) {
        let limits =
            format!("{{0}}dn.exact=\"cn=writer,{BASE}\" size={entries} size.prtotal=unlimited");
        let change = vec![Mod::Replace("olcLimits", HashSet::from([limits.as_str()]))];
        self.ldap
            .clone()
            .modify("olcDatabase={1}mdb,cn=config", change)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    /// Returns what tells every entry's content from any other.
    pub(super) async fn states(&self) -> BTreeMap<String, Attributes> {
        self.found("(objectClass=*)", &["entryCSN", "modifyTimestamp"]).await
    }

    /// Returns the names of the members of a group.
    pub(super) async fn members(&self, group: &str) -> BTreeSet<String> {
        self.groups().await.remove(group).unwrap_or_default()
    }

    /// Puts an entry under another one.
    pub(super) async fn move_under(&self, dn: &str, under: &str) -> String {
        let (name, _) = dn.split_once(',').unwrap();
        self.ldap.clone().modifydn(dn, name, true, Some(under)).await.unwrap().success().unwrap();
        format!("{name},{under}")
    }

    pub(super) async fn join(&self, group: &str, member: &str) {
        let change = vec![Mod::Add("member", HashSet::from([member]))];
        self.ldap.clone().modify(group, change).await.unwrap().success().unwrap();
    }

    pub(super) async fn unset(&self, dn: &str, attribute: &str) {
        let change = vec![Mod::Delete(attribute, HashSet::new())];
        self.ldap.clone().modify(dn, change).await.unwrap().success().unwrap();
    }

    pub(super) async fn add_unit(&self, dn: &str) {
        self.add(dn, &[("objectClass", &["organizationalUnit"])]).await;
    }

    pub(super) async fn add(&self, dn: &str, attributes: &[(&str, &[&str])]) {
        let attributes = attributes
            .iter()
            .map(|(name, values)| (*name, values.iter().copied().collect()))
            .collect();
        self.ldap.clone().add(dn, attributes).await.unwrap().success().unwrap();
    }

    pub(super) async fn set(&self, dn: &str, attribute: &str, value: &str) {
        let change = vec![Mod::Replace(attribute, HashSet::from([value]))];
        self.ldap.clone().modify(dn, change).await.unwrap().success().unwrap();
    }

    pub(super) async fn rename(&self, dn: &str, name: &str) {
        self.ldap.clone().modifydn(dn, name, true, None).await.unwrap().success().unwrap();
    }

    pub(super) async fn remove(&self, dn: &str) {
        self.ldap.clone().delete(dn).await.unwrap().success().unwrap();
    }
}

async fn connection(url: &str) -> Ldap {
    let (driver, ldap) = LdapConnAsync::new(url).await.unwrap();
    tokio::spawn(driver.drive());
    ldap
}
