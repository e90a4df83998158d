//! `roster self LOGIN --set phone=… [--set name=…] [--set-password]`

mod settings;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;

use self::settings::Setting;
use super::login::{LoginClaim, LoginRefused, login_hash, refuse, time};
use super::prompt::PromptedLines;
use super::{Failure, block_on, examples, open, print, rendered};
use crate::config::{Output, Shared};
use crate::domain::account::Account;
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::password::{Password, PasswordCandidate, PasswordContext, PasswordHash};
use crate::domain::profile::{Profile, SelfServiceField};
use crate::domain::self_service::ProfileChange;
use crate::hashing::{Cost, Hashing};
use crate::plan::{MemberPlan, Plan};
use crate::store::{CommitTime, Receipt, Refusal, Store};

/// Arguments of `roster self`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Change one's phone number and city", "roster self alice.acme --set 'phone=+1 602 555 0100' --set address.locality=Tempe"),
    ("Change one's password; both are typed at a prompt", "roster self alice.acme --set-password"),
]))]
pub(super) struct SelfArgs {
    #[arg(long, value_name = "FIELD=VALUE", value_parser = settings::setting, help = settings::HELP, required_unless_present = "set_password")]
    set: Vec<Setting>,
    /// Changes the password to the one on the second line of standard input.
    #[arg(long)]
    set_password: bool,
    #[command(flatten)]
    claim: LoginClaim,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    shared: Shared,
}

/// How long a change of a password may take until directories have it.
const DEADLINE: SignedDuration = SignedDuration::from_mins(20);

/// A change that was made, as `roster self` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    organization: String,
    login_name: String,
    changed: BTreeSet<SelfServiceField>,
    email: String,
    profile: Profile,
}

/// A change that isn't made, and why.
#[derive(Debug)]
struct Refused(String);

/// Changes a member's profile or password: exit code 0 if it was changed, 1 if it was refused.
pub(super) fn run(arguments: &SelfArgs) -> Result<ExitCode, Failure> {
    let shared = &arguments.shared;
    let prompts: &[&str] =
        if arguments.set_password { &["Password", "New password"] } else { &["Password"] };
    let key = arguments.claim.key()?;
    let entered = PromptedLines::read(prompts)?;
    let current = PasswordCandidate::new(entered.line(0));
    let outcome = block_on(async {
        let store = open(&shared.store).await?;
        let hashing = Hashing::new(Cost::default())?;
        let now = time(&store, shared).await?;
        let Some(account) =
            arguments.claim.admitted(&store, &hashing, (&key, current.as_ref()), now).await?
        else {
            return Ok(Err(Refused(LoginRefused.to_string())));
        };
        let outcome =
            arguments.change(&store, &hashing, (&account, &entered), shared.clock().now()).await;
        store.close().await;
        outcome
    })?;
    match outcome {
        Ok(changed) => changed.print(arguments.output).map(|()| ExitCode::SUCCESS),
        Err(Refused(why)) => Ok(refuse(why)),
    }
}

impl SelfArgs {
    async fn change(
        &self,
        store: &impl Store,
        hashing: &Hashing,
        (account, entered): (&Account, &PromptedLines),
        now: jiff::Timestamp,
    ) -> Result<Result<Changed, Refused>, Failure> {
        let changes = settings::changes(&self.set, account.content.profile.address.as_ref())?;
        if let Err(refused) = self.check_self_service(store, account, &changes).await? {
            return Ok(Err(refused));
        }
        let password = match self.new_password(hashing, account, (&changes, entered))? {
            Ok(password) => password,
            Err(refused) => return Ok(Err(refused)),
        };
        let plan = MemberPlan {
            namespace: account.namespace.clone(),
            account: account.id,
            changes,
            password,
        };
        let deadline = now.checked_add(DEADLINE)?;
        let receipts = store.commit(&[Plan::Member(plan)], CommitTime { now, deadline }).await?;
        Ok(match receipts.into_iter().next().ok_or("the store gave no answer")? {
            Ok(Receipt::Account(after)) => Ok(changed(account, *after)),
            Ok(Receipt::Deleted(_) | Receipt::Done) => {
                return Err("the store answered with another kind of receipt".into());
            }
            Err(refusal) => Err(refused(refusal, account)),
        })
    }

    /// Refuses what the member's group doesn't let members change, by name.
    async fn check_self_service(
        &self,
        store: &impl Store,
        account: &Account,
        changes: &[ProfileChange],
    ) -> Result<Result<(), Refused>, Failure> {
        let Account { namespace, content, .. } = account;
        let organization = Organization {
            namespace: namespace.clone(),
            customer_id: CustomerId::parse(namespace)?,
        };
        let record =
            store.organizations(&[organization]).await?.remove(namespace).unwrap_or_default();
        let group = record.group(&content.group).unwrap_or_default();
        let password = self.set_password.then_some(SelfServiceField::Password);
        let desired: BTreeSet<SelfServiceField> =
            changes.iter().map(ProfileChange::field).chain(password).collect();
        let missing: Vec<&str> = desired.difference(&group.self_service).map(Into::into).collect();
        Ok(if missing.is_empty() {
            Ok(())
        } else {
            Err(Refused(format!(
                "refused: selfService of the group {} doesn't list {}",
                content.group,
                missing.join(", ")
            )))
        })
    }

    /// Returns the hash of the new password, nothing where it stays the same.
    fn new_password(
        &self,
        hashing: &Hashing,
        account: &Account,
        (changes, entered): (&[ProfileChange], &PromptedLines),
    ) -> Result<Result<Option<PasswordHash>, Refused>, Failure> {
        if !self.set_password {
            return Ok(Ok(None));
        }
        let desired = changes.iter().rev().find_map(|change| match change {
            ProfileChange::Email(email) => Some(email),
            _ => None,
        });
        let person = PasswordContext {
            login_name: &account.login_name,
            email: desired.unwrap_or(&account.content.email),
        };
        let password = match Password::parse(entered.line(1), &person) {
            Ok(password) => password,
            Err(unmet) => {
                let unmet: Vec<String> =
                    unmet.iter().map(|requirement| format!("it {requirement}")).collect();
                return Ok(Err(Refused(format!(
                    "the new password is refused: {}",
                    unmet.join("; ")
                ))));
            }
        };
        let before = login_hash(account);
        let is_same =
            before.map_or(Ok(false), |before| hashing.verify(password.candidate(), before))?;
        Ok(Ok(if is_same { None } else { Some(hashing.hash(&password)?) }))
    }
}

/// Returns the message about a refusal of the store.
fn refused(refusal: Refusal, account: &Account) -> Refused {
    let kind = account.transaction.kind.as_str();
    Refused(match refusal {
        Refusal::EmailTaken => {
            "refused: email: another account of the organization has this address".to_owned()
        }
        Refusal::DomainNotAllowed => {
            "refused: email: the organization doesn't list the domain of this address".to_owned()
        }
        Refusal::NotSelfService => {
            "refused: selfService of the account's group doesn't list this any more".to_owned()
        }
        Refusal::InTransaction if account.transaction.in_flight() => {
            format!("refused: the account is in transaction ({kind}): try again when it is over")
        }
        Refusal::InTransaction => {
            "refused: the account is in transaction: try again when it is over".to_owned()
        }
        Refusal::Stale => "refused: the account changed meanwhile: try again".to_owned(),
        busy @ (Refusal::Locked | Refusal::OutOfTime) => format!("refused: {busy}: try again"),
        other @ (Refusal::LoginTaken
        | Refusal::IdTaken
        | Refusal::GroupNotFound
        | Refusal::DomainTaken
        | Refusal::CustomerIdTaken
        | Refusal::CustomerIdChanged
        | Refusal::InUse
        | Refusal::LastAdministrator) => format!("refused: {other}"),
    })
}

/// Returns what differs of an account.
fn changed(before: &Account, after: Account) -> Changed {
    let mut changed = before.content.profile.differences(&after.content.profile);
    let beside_profile = [
        (SelfServiceField::Email, before.content.email != after.content.email),
        (SelfServiceField::Password, login_hash(before) != login_hash(&after)),
    ];
    changed.extend(beside_profile.into_iter().filter(|(_, it)| *it).map(|(field, _)| field));
    Changed {
        organization: after.namespace,
        login_name: after.login_name.to_string(),
        changed,
        email: after.content.email.to_string(),
        profile: after.content.profile,
    }
}

impl Changed {
    fn print(&self, output: Output) -> Result<(), Failure> {
        Ok(print(&rendered(output, self, Self::sentence)?)?)
    }

    fn sentence(&self) -> String {
        let Self { login_name, changed, .. } = self;
        let names: Vec<&str> = changed.iter().map(Into::into).collect();
        if names.is_empty() {
            return format!("{login_name} has these values already: nothing changed\n");
        }
        format!("{login_name} changed: {}\n", names.join(", "))
    }
}
