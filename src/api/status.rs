//! What every status has: conditions, and the reasons that they give.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoStaticStr};

/// A moment in UTC, to the second.
pub type Timestamp = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Something that holds or doesn't, why, and since when.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What this condition is about.
    #[serde(rename = "type")]
    #[schemars(with = "String", length(max = 64))]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    #[schemars(with = "String", length(max = 64))]
    pub reason: Reason,
    /// Why, in a sentence that names the cure.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// When the status last changed.
    pub last_transition_time: Timestamp,
    /// The generation of the spec that this condition is about.
    #[serde(default)]
    pub observed_generation: i64,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub enum ConditionType {
    /// The object is as its spec asks.
    Ready,
    /// A transaction of the account is in flight.
    InTransaction,
    /// The person can log in.
    LoginReady,
    /// The account is billed.
    Billable,
    /// Where permissions come from is known.
    PermissionsResolved,
    /// The email asked for is the one in force.
    EmailAccepted,
    /// Every directory has confirmed what is in force; absent where no directory is in use.
    DirectoriesCurrent,
    /// The operator works on it or waits; present only while true.
    Reconciling,
    /// Somebody must act; present only while true.
    Stalled,
    /// A condition of another version of the operator.
    #[serde(other)]
    Unknown,
}

/// Whether a condition holds.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It doesn't.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// Why a condition is as it is. The generated reference has cause and cure of each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, EnumIter,
)]
pub enum Reason {
    // Settled.
    /// Everything is as the spec asks.
    Reconciled,
    /// The email is in force.
    Accepted,
    /// The permissions are known.
    Resolved,
    /// Nothing is in flight.
    Idle,
    /// The account exists and may be used.
    Enabled,
    /// The account is disabled, and still billed.
    DisabledStillBilled,
    /// The account is disabled.
    AccountDisabled,
    /// There is no account yet.
    NoAccount,
    /// The person can log in.
    PasswordSet,
    /// No password was ever set.
    PasswordNotSet,
    /// The email is the placeholder of a copy, which nobody can log in with.
    EmailIsPlaceholder,

    // Waits that heal by themselves when something else arrives.
    /// The object is let go of, and something else still holds it.
    Deleting,
    /// The object is paused by annotation.
    Paused,
    /// The group isn't there.
    GroupNotFound,
    /// The email's domain isn't listed.
    DomainNotAllowed,
    /// The User whose permissions or details are asked for isn't there.
    SourceNotFound,
    /// The User whose permissions or details are asked for has no account yet.
    SourceNotReady,
    /// Deletion is held by what still uses the object.
    InUse,
    /// It would leave the organization without an enabled user with full control.
    LastAdministrator,
    /// Deletion is held by `deletionProtection`.
    DeletionProtected,
    /// The store can't be reached, or doesn't take the change now.
    StoreUnavailable,
    /// The store refuses the change again and again.
    RefusedByStore,
    /// The Secret that holds the password isn't there, is of another type, or lacks the key.
    PasswordSecretNotFound,
    /// The change waits for the end of the transaction in flight.
    QueuedBehindTransaction,
    /// A directory can't be reached, or fails.
    DirectoryUnavailable,
    /// A directory hasn't confirmed what is in force for longer than a moment.
    DirectoryPending,
    /// The account is being created.
    Create,
    /// The account is being deleted.
    Delete,
    /// A new password is on its way.
    PasswordChange,
    /// The account is being disabled.
    Disable,
    /// The account is being enabled.
    Enable,

    // Refusals: somebody must act.
    /// The charge isn't approved.
    ChargeNotApproved,
    /// Another account of the organization has the email.
    EmailTaken,
    /// The email can't be understood.
    EmailInvalid,
    /// Another account has the login name.
    LoginTaken,
    /// Permissions are inherited in a loop.
    InheritanceCycle,
    /// Permissions are inherited through more than 32 others.
    InheritanceTooDeep,
    /// Another object lists the domain.
    DomainTaken,
    /// The domain can't be understood, or is a public suffix.
    DomainInvalid,
    /// Another namespace has the customer ID.
    CustomerIdTaken,
    /// The namespace's customer ID differs from the one that its first account fixed.
    CustomerIdChanged,
    /// The namespace's label isn't a customer ID.
    CustomerIdInvalid,
    /// The account that the status names isn't in the store.
    AccountLost,
    /// The account that `adopt` names can't be taken over.
    NotAdoptable,
    /// The password doesn't meet the requirements.
    PasswordRejected,
    /// The transaction in flight is past its deadline.
    DeadlineExceeded,
    /// A directory doesn't take the account as it is.
    DirectoryRefused,
    /// The spec has a value that this version of the operator doesn't understand.
    UnsupportedValue,

    /// A reason of another version of the operator.
    #[serde(other)]
    Unknown,
}

impl Reason {
    /// Returns the reason as it stands in a condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
