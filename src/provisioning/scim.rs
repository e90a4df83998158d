//! SCIM 2.0 (RFC 7643, RFC 7644): a person is a User, a group of an organization is a Group.
//!
//! roster knows an entry by its externalId, the account's id, and looks for it before it writes: a
//! reply that was lost never makes a double. It owns the attributes that it writes; what else an
//! entry has stays as it is. What many entries need at the same time goes into few requests.

mod entries;
mod features;
mod group_members;
mod groups;
mod handle;
mod index;
mod list;
mod lookup;
mod memberships;
mod messages;
mod people;
mod queue;
mod reply;
mod token;
mod transport;
mod user;
mod writes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use self::entries::{Changed, Told};
use self::features::{Features, KnownFeatures};
use self::groups::Changes;
use self::handle::ScimHandle;
use self::index::Index;
use self::lookup::{BY_ACCOUNT, EXTERNAL_ID, Filter, MAX_CONDITIONS};
use self::memberships::Membership;
use self::messages::{Resource, ScimResource};
use self::queue::{RequestOutcome, RequestQueue};
use self::reply::Reply;
use self::token::Token;
use self::transport::{READ_ONLY, Transport, URGENT, is_urgent};
use self::writes::{ScimWrite, path_of};
use super::{
    DirectoryError, DirectoryUrl, DirectoryUser, Entry, Groups, ListedEntry, LoginPassword, People,
    Provisioned, all_of,
};
use crate::domain::account::AccountId;

const MAX_WRITES: usize = 100;

/// How late what was sent together with others may be carried out.
const LATEST: Duration = Duration::from_secs(60);

/// How long the list of all users may take; who waits for it is looked up afterwards, which takes
/// time, too.
const LONGEST_LIST: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) struct Scim {
    client: Arc<Client>,
    sends_passwords: bool,
}

/// Two queues of one kind: the second one is for what takes rights away.
type ByUrgency<Q, A> = [Arc<RequestQueue<Q, A>>; 2];

/// What is known of a server, and what is on its way to it.
#[derive(Debug)]
struct Client {
    transport: Transport,
    features: KnownFeatures,
    lookups: ByUrgency<(AccountId, LookupMode), Vec<Resource>>,
    index: Index,
    memberships: ByUrgency<String, Vec<Membership>>,
    writes: ByUrgency<ScimWrite, Reply>,
    groups: Mutex<HashMap<(String, bool), Arc<Changes>>>,
    /// What was left without an answer, was sent again, and may still be carried out until then.
    late: Mutex<HashMap<String, Instant>>,
    /// Whether the server ever showed a group's members, so that one without members has none.
    shows_members: AtomicBool,
}

/// What is believed of an account's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookupMode {
    /// A fresh list: an account that is missing there is created, and the server refuses a
    /// duplicate.
    List,
    Answers,
}

impl Scim {
    /// Takes an address for a server; nothing is asked of it yet.
    pub(super) fn open(mut address: DirectoryUrl) -> Result<Self, DirectoryError> {
        let token = Token::new(address.take_file("token-file")?);
        let authority = address.take("ca-file").map(PathBuf::from);
        let sends_passwords = match address.take("passwords").as_deref() {
            None => true,
            Some("none") => false,
            Some(_) => {
                let name = address.name();
                return Err(DirectoryError::Configuration(format!(
                    "the option passwords of the directory {name} can be none, or left out"
                )));
            }
        };
        address.finish()?;
        let client = Client {
            transport: Transport::new(&address, token, authority.as_deref())?,
            features: KnownFeatures::default(),
            lookups: [RequestQueue::new(MAX_CONDITIONS), RequestQueue::urgent(MAX_CONDITIONS)],
            index: Index::default(),
            memberships: [RequestQueue::new(MAX_CONDITIONS), RequestQueue::urgent(MAX_CONDITIONS)],
            writes: [RequestQueue::new(MAX_WRITES), RequestQueue::urgent(MAX_WRITES)],
            groups: Mutex::default(),
            late: Mutex::default(),
            shows_members: AtomicBool::new(false),
        };
        Ok(Self { client: Arc::new(client), sends_passwords })
    }

    pub(super) fn sends_passwords(&self) -> bool {
        self.sends_passwords
    }

    pub(super) async fn provision(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let takes_away = entry.revokes_login();
        let mut provisioned = URGENT
            .scope(takes_away, READ_ONLY.scope(entry.compares, Box::pin(self.bring_in_turn(entry))))
            .await?;
        let handles = entry.handle.iter().chain(&provisioned.handle).filter_map(ScimHandle::read);
        let mut keys: Vec<String> =
            handles.filter_map(|handle| path_of(ScimResource::User, &handle.id).ok()).collect();
        keys.push(entry.account.to_string());
        let may_be_late = self.client.may_be_late(&keys);
        // Nothing that may still come lets them in again.
        if takes_away && may_be_late {
            return Err(DirectoryError::Timeout);
        }
        provisioned.may_be_late = may_be_late || self.client.may_be_late_in_groups();
        Ok(provisioned)
    }

    async fn bring_in_turn(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let handle = entry.handle.as_ref().and_then(ScimHandle::read);
        // A list that is a minute old doesn't prove that an entry is gone, and lacks entries that
        // were linked since.
        let trust = if entry.adopts || entry.person.is_none() {
            LookupMode::Answers
        } else {
            LookupMode::List
        };
        let mut found = self.client.entries_of(entry.account, trust).await?;
        let has_id =
            |user: &Resource, handle: &ScimHandle| user.id().is_ok_and(|id| id == handle.id);
        if let Some(handle) =
            handle.as_ref().filter(|handle| !found.iter().any(|user| has_id(user, handle)))
        {
            let known = self.client.known_entry(handle, entry, found.is_empty()).await?;
            found.extend(known);
        }
        if found.is_empty() && handle.is_none() && entry.was_confirmed && entry.revokes_login() {
            let account = entry.account;
            let taken = if entry.person.is_some() { "disabled" } else { "deleted" };
            let login_name = entry.person.as_ref().map(|person| &person.login_name);
            if let Some(login_name) = login_name.or(entry.former_login_name.as_ref()) {
                found = self.client.entries_missed(account, login_name).await?;
            }
            if found.is_empty() {
                return Err(DirectoryError::NotShown(format!(
                    "no entry there has the externalId {account}; the entry that was the person's is {taken} once it has that again"
                )));
            }
        }
        let Some(person) = &entry.person else {
            let wrote = !found.is_empty();
            let removals = found
                .iter()
                .map(|user| self.client.remove(user, &entry.organization, entry.account));
            // One that can't be removed keeps no other.
            all_of(join_all(removals).await)?;
            return Ok(Provisioned { handle: None, wrote, may_be_late: false });
        };
        let wanted = user::wanted(person, &entry.account.to_string());
        let bringing =
            Bringing { entry, person, unheeded: handle.and_then(|handle| handle.unheeded) };
        if found.is_empty() {
            self.create(&bringing, wanted).await
        } else {
            self.change_all(&found, &bringing, wanted).await
        }
    }

    pub(super) async fn drop_groups(&self, present: &Groups) -> Result<(), DirectoryError> {
        self.client.drop_groups(present).await
    }

    pub(super) async fn people(&self) -> Result<People, DirectoryError> {
        self.client.people().await
    }

    pub(super) async fn list_entries(&self) -> Result<Vec<ListedEntry>, DirectoryError> {
        self.client.list_entries().await
    }

    pub(super) async fn link(&self, id: &str, external_id: &str) -> Result<(), DirectoryError> {
        self.client.link(id, external_id).await
    }

    async fn create(
        &self,
        bringing: &Bringing<'_>,
        wanted: Map<String, Value>,
    ) -> Result<Provisioned, DirectoryError> {
        let Bringing { entry, person, .. } = *bringing;
        let mut user = wanted.clone();
        let text =
            if self.sends_passwords { person.password.as_ref().and_then(text_of) } else { None };
        if let Some(text) = text {
            user.insert("password".to_owned(), text.into());
        }
        self.client.index.note(entry.account);
        let mut reply =
            self.client.write(ScimWrite::create(ScimResource::User, Value::Object(user))).await?;
        if text.is_some() {
            reply = reply.without_words();
        }
        let is_taken = reply.status.as_u16() == 409;
        let id = if is_taken { None } else { reply.created_id()? };
        let account = entry.account.to_string();
        let group = Client::group_name(&entry.organization, &person.group);
        if let Some(id) = id.as_ref().filter(|_| reply.may_be_known_by(&account)) {
            let unheeded = self.settle_new(id, &reply, bringing, &wanted).await?;
            self.client.join(&group, id).await?;
            // The entry was deleted by others, with its password.
            let is_lost = self.sends_passwords
                && person.password.as_ref().is_some_and(|password| !password.is_new);
            let handle = ScimHandle { id: id.clone(), unheeded }.write();
            return if is_lost {
                Err(DirectoryError::EntryRecreated)
            } else {
                Ok(Provisioned { handle: Some(handle), wrote: true, may_be_late: false })
            };
        }
        // It is there already, by an earlier try whose answer was lost or by others; or the answer
        // doesn't show what was created.
        let mut found = self.client.entries_of(entry.account, LookupMode::Answers).await?;
        if found.is_empty() && is_taken {
            found = self.client.entries_missed(entry.account, &person.login_name).await?;
        }
        match id {
            _ if !found.is_empty() => self.change_all(&found, bringing, wanted).await,
            None if is_taken => {
                let name = &person.login_name;
                Err(DirectoryError::refused(&format!(
                    "another entry there has the userName {name}; it becomes this account's with the externalId {account}, which roster import --link sets"
                )))
            }
            Some(id) if self.client.keeps(&id, &account).await? => {
                self.client.join(&group, &id).await?;
                Ok(Provisioned {
                    handle: Some(ScimHandle { id, unheeded: None }.write()),
                    wrote: true,
                    may_be_late: false,
                })
            }
            id => self.client.take_back(id.as_deref()).await,
        }
    }

    /// Checks that a new entry has no rights that it isn't to have, as far as the server shows it,
    /// and returns what of the rest the server didn't take. An entry that is to be inactive is read
    /// in any case.
    async fn settle_new(
        &self,
        id: &str,
        reply: &Reply,
        bringing: &Bringing<'_>,
        wanted: &Map<String, Value>,
    ) -> Result<Option<String>, DirectoryError> {
        let mut made = reply.resource().filter(|made| made.id().is_ok_and(|made| made == id));
        if made.as_ref().is_none_or(|made| user::rights_left(made, wanted).is_some())
            && !bringing.person.active
        {
            made = self.client.entry(id).await?;
        }
        let Some(made) = made else { return Ok(None) };
        if user::rights_left(&made, wanted).is_none() {
            return Ok(user::digest(&made, &user::differences(&made, wanted)));
        }
        let told =
            Told { account: bringing.entry.account, password: None, unheeded: None, insists: true };
        Ok(self.client.change(&made, wanted, &told).await?.unheeded)
    }

    /// Updates the entries of an account, of which one is to stay. A person who may not log in may
    /// not by any of them.
    async fn change_all(
        &self,
        found: &[Resource],
        bringing: &Bringing<'_>,
        wanted: Map<String, Value>,
    ) -> Result<Provisioned, DirectoryError> {
        let Bringing { entry, person, ref unheeded } = *bringing;
        let is_one = found.len() == 1;
        if !is_one && person.active {
            let (number, account) = (found.len(), entry.account);
            return Err(DirectoryError::refused(&format!(
                "{number} entries there have the externalId {account}: all but one have to go"
            )));
        }
        let password = self.new_password(person);
        let changes = found.iter().map(async |user| {
            let mut wanted = match &person.password {
                Some(password) if password.is_unread => user::keep_inactive(user, &wanted),
                _ => wanted.clone(),
            };
            // One that isn't known as the account's beside another has nothing more to be than
            // closed.
            if user.external_id()?.is_none() && !is_one {
                wanted = user::revocations_only(user, &wanted);
            }
            // A login name is one entry's.
            if let Some(name) = user.get("userName").filter(|_| !is_one) {
                wanted.insert("userName".to_owned(), name.clone());
            }
            let told = Told {
                account: entry.account,
                password: password.as_deref(),
                unheeded: unheeded.as_deref().filter(|_| is_one),
                insists: !entry.compares,
            };
            let changed = self.client.change(user, &wanted, &told).await;
            if let Err(
                error @ (DirectoryError::Conflict
                | DirectoryError::RateLimited { .. }
                | DirectoryError::Unauthorized(_)),
            ) = changed
            {
                return Err(error);
            }
            // Whatever is refused about an entry keeps it in no group.
            let settled = self
                .client
                .settle(user, (&entry.organization, entry.account), Some(&person.group))
                .await;
            let (Changed { wrote, unheeded }, moved) = match (changed, settled) {
                (Err(error), Err(other)) => return Err(error.or_more_open(other)),
                (changed, settled) => (changed?, settled?),
            };
            Ok((user.id()?.to_owned(), wrote | moved, unheeded))
        });
        let changed = all_of(join_all(changes).await)?;
        let wrote = changed.iter().any(|(_, wrote, _)| *wrote);
        let handle =
            changed.into_iter().next().map(|(id, _, unheeded)| ScimHandle { id, unheeded }.write());
        Ok(Provisioned { handle, wrote, may_be_late: false })
    }

    /// Returns the new password of an existing entry, if it gets one.
    fn new_password(&self, person: &DirectoryUser) -> Option<String> {
        let is_sent = |password: &&LoginPassword| {
            password.is_new && !password.is_unread && self.sends_passwords
        };
        let password = person.password.as_ref().filter(is_sent)?;
        // No one has the text of a password that the member chose, but the former one must stop
        // working.
        let random = || format!("Aa1-{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Some(text_of(password).map_or_else(random, str::to_owned))
    }
}

/// An entry, and what the server didn't take of it before.
struct Bringing<'a> {
    entry: &'a Entry,
    person: &'a DirectoryUser,
    unheeded: Option<String>,
}

fn text_of(password: &LoginPassword) -> Option<&str> {
    let text = password.text.as_ref().filter(|_| password.is_new)?;
    std::str::from_utf8(text.as_bytes()).ok()
}

impl Client {
    async fn features(&self) -> Result<Arc<Features>, DirectoryError> {
        self.features.get(&self.transport).await
    }

    /// Returns the entries of an account; several are asked for at once.
    async fn entries_of(
        self: &Arc<Self>,
        account: AccountId,
        trust: LookupMode,
    ) -> Result<Vec<Resource>, DirectoryError> {
        let client = self.clone();
        let work = move |accounts: Vec<(AccountId, LookupMode)>| {
            let client = client.clone();
            async move {
                let by = (ScimResource::User, BY_ACCOUNT);
                if accounts.len() > 1 && !client.index.is_due() && client.searches_singly(by).await
                {
                    return RequestOutcome::Split;
                }
                let found = client.look_up(&accounts).await;
                client.searched(by, accounts.len(), found).await
            }
        };
        self.lookups[usize::from(is_urgent())].ask((account, trust), work).await
    }

    /// Records that a write without an answer, which is repeated, may still be carried out.
    fn note_late(&self, key: &str) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        late.retain(|_, until| *until > now);
        late.insert(key.to_owned(), now + LATEST);
    }

    /// Whether a write of any of these may still be carried out.
    fn may_be_late(&self, keys: &[String]) -> bool {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().any(|key| late.get(key).is_some_and(|until| *until > Instant::now()))
    }

    /// Whether a write of any group may still be carried out; it may concern any account.
    fn may_be_late_in_groups(&self) -> bool {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        late.iter().any(|(key, until)| key.starts_with(ScimResource::Group.path()) && *until > now)
    }

    /// Returns the entries of each account. Where a whole batch asks, more are about to, and
    /// everything is listed first.
    async fn look_up(
        &self,
        accounts: &[(AccountId, LookupMode)],
    ) -> Result<Vec<Vec<Resource>>, DirectoryError> {
        let trusting = accounts.iter().filter(|(_, trust)| *trust == LookupMode::List).count();
        if trusting == MAX_CONDITIONS && self.index.is_due() {
            // A server that can't be listed, or not in time, can be asked all the same.
            let _ = tokio::time::timeout(LONGEST_LIST, self.list_accounts()).await;
        }
        let is_lacking = |(account, trust): &(AccountId, LookupMode)| {
            *trust == LookupMode::List && self.index.lacks(*account)
        };
        let lacking: Vec<bool> = accounts.iter().map(is_lacking).collect();
        let asked = accounts.iter().zip(&lacking).filter(|(_, lacking)| !**lacking);
        let conditions: Vec<Filter> =
            asked.map(|((account, _), _)| Filter::ExternalId(account.to_string())).collect();
        let mut found = self.find(ScimResource::User, &conditions, None).await?.into_iter();
        Ok(lacking
            .into_iter()
            .map(|lacking| if lacking { vec![] } else { found.next().unwrap_or_default() })
            .collect())
    }

    /// Lists all users for the index.
    async fn list_accounts(&self) -> Result<(), DirectoryError> {
        let begun = Instant::now();
        // However it ends, the next batch isn't to begin it again at once.
        self.index.note_failure(begun);
        let listed = self.list(ScimResource::User, Some(EXTERNAL_ID)).await?;
        let ids: Vec<Option<&str>> =
            listed.iter().map(Resource::external_id).collect::<Result<_, _>>()?;
        self.index.take(begun, ids.into_iter().flatten());
        Ok(())
    }
}
