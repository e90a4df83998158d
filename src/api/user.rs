//! `User`: one person of the organization, and the account they are to have.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::{Condition, Timestamp};

/// A person of the organization that its namespace stands for.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roster.rs",
    version = "v1alpha1",
    kind = "User",
    namespaced,
    status = "UserStatus",
    derive = "PartialEq",
    doc = "A person of the organization that its namespace stands for, and the account they have.",
    shortname = "rusr",
    category = "roster",
    validation = Rule::new("!has(self.spec.copyOf) || self.spec.copyOf.name != self.metadata.name")
        .message("copyOf names this User itself: name the User to copy"),
    selectable = ".spec.email",
    selectable = ".spec.groupRef.name",
    selectable = ".spec.state",
    printcolumn(
        name = "Email",
        type_ = "string",
        json_path = ".status.email",
        description = "The email in force, or the one asked for"
    ),
    printcolumn(
        name = "Group",
        type_ = "string",
        json_path = ".status.group",
        description = "The group in force, or the one asked for"
    ),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.state", description = "What state the account is in"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the account is as the User asks"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Login-Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="LoginReady")].status"#,
        description = "Whether the person can log in"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the User exists"
    ),
    printcolumn(name = "Login", type_ = "string", json_path = ".status.loginName", description = "The login name", priority = 1),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".status.permissions.source",
        description = "Where permissions come from",
        priority = 1
    ),
    printcolumn(
        name = "Permissions",
        type_ = "integer",
        json_path = ".status.permissions.total",
        description = "How many permissions are in effect",
        priority = 1
    ),
    printcolumn(
        name = "Billable",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Billable")].status"#,
        description = "Whether the account is billed",
        priority = 1
    ),
    printcolumn(
        name = "Since",
        type_ = "string",
        json_path = ".status.billing.since",
        description = "The first month that is billed",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter, and its cure",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.copyOf) == has(oldSelf.copyOf) && (!has(self.copyOf) || self.copyOf == oldSelf.copyOf)")
        .message("copyOf can't be added, changed or removed later: delete the User and create it anew"),
    validation = Rule::new("has(self.copyOf) || has(self.email)")
        .message("email is required unless copyOf is set"),
    validation = Rule::new("has(self.copyOf) || (has(self.profile) && has(self.profile.displayName))")
        .message("profile.displayName is required unless copyOf is set"),
    validation = Rule::new("has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)")
        .message("username can't be changed: it is part of the login name, which is fixed for the life of the account"),
    validation = Rule::new("!has(oldSelf.email) || has(self.email)")
        .message("email can be changed but not removed"),
    validation = Rule::new("!oldSelf.chargeApproved || self.chargeApproved")
        .message("chargeApproved can't be taken back: delete the User to end the charge with this month"),
    validation = Rule::new("has(self.adopt) == has(oldSelf.adopt) && (!has(self.adopt) || self.adopt == oldSelf.adopt)")
        .message("adopt can't be added, changed or removed later"),
    validation = Rule::new("!has(self.adopt) || !self.adopt.startsWith('entry/') || has(self.email)")
        .message("email is required where adopt names a directory's entry: a copy without one of its own stands in no directory")
)]
pub struct UserSpec {
    /// The first part of the login name, `<username>.<customer ID>`. Defaults to the name of the
    /// User and can't be changed: lower-case letters, digits, dots and dashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("a username is made of lower-case letters, digits, dots and dashes, and starts and ends with a letter or digit"))]
    pub username: Option<String>,

    /// The email address, unique in the organization and in one of its `OrgEmailDomain`s. It is
    /// compared in lower case with its domain in ASCII (IDNA). Required unless `copyOf` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = Rule::new(r#"self.matches("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+([.][A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[^@\\s\\p{Cc}]+$")"#)
        .message("an email is one address such as alice@acme.example, without mailto:, a name, < > and spaces around it, its part before the @ in ASCII and without quotes"))]
    pub email: Option<String>,

    /// Who the person is and how to reach them. A change takes effect at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileSpec>,

    /// The person's role, in words of your own, such as `Dispatcher`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$"))]
    pub role: Option<String>,

    /// The teams the person works in, in words of your own. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub teams: Vec<String>,

    /// The `UserGroup` that the person is a member of; everybody is in one group.
    #[serde(default)]
    pub group_ref: GroupRef,

    /// What the person may do beside what their group may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<PermissionsSpec>,

    /// Copies profile, role and teams of another User once, when the account is created. Fields
    /// present in this spec win; an empty list counts as absent. Can't be added, changed or removed
    /// later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<UserRef>,

    /// The id of an account without a User that this User takes over. One of its own name that is
    /// in the group of `groupRef` is taken back without it. Or `entry/` and the external id of an
    /// entry that a directory has: the account is created with that id, which no account may ever
    /// have had, so the entry becomes its own. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 36, max = 42),
        regex(pattern = r"^(entry/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    )]
    pub adopt: Option<String>,

    /// Whether the person may log in. A disabled account keeps everything and is still billed.
    #[serde(default)]
    pub state: DesiredState,

    /// The Secret of type `roster.rs/password` that holds the password. A password must be text in
    /// UTF-8, without a byte order mark, on one line without control characters (one line end after
    /// it is taken off) and without characters that nobody sees, such as zero-width spaces, have 15
    /// to 128 characters, counted after Unicode normalization (NFKC), be hard to guess (a zxcvbn
    /// score of at least 3 of 4), and not be the login name, the username or the email, alone or
    /// repeated, in any case; it may contain them. Where `confirmationKey` is set, it must be the
    /// same there. No kinds of characters are asked for. `roster password-policy` prints the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<PasswordSecretRef>,

    /// Whether the additional charge for this account is approved. Without it no account is
    /// created; once given it can't be taken back.
    #[serde(default)]
    pub charge_approved: bool,

    /// While `Enabled`, the User can't be deleted: switch it to `Disabled` first.
    #[serde(default)]
    pub deletion_protection: DeletionProtection,

    /// What deleting the User does to the account: `Delete` deletes it for good, `Retain` keeps
    /// the account (and its billing) and lets go of the User only, whatever the protection.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Who a person is and how to reach them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileSpec {
    /// The name to show, such as `Alice Smith`. Required, and not blank, unless `copyOf` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$"))]
    pub display_name: Option<String>,

    /// A telephone number, as people write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^\P{Cc}*$"))]
    pub phone: Option<String>,

    /// A postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,

    /// The person's time zone by its IANA name, such as `America/Phoenix`. One that the IANA
    /// database doesn't have is told in the condition `Ready`, and isn't applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}$')")
        .message("a time zone is an IANA name such as America/Phoenix"))]
    pub time_zone: Option<String>,

    /// What the person is notified of, in the words of the software that notifies, such as
    /// `CaseAssigned`. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub notifications: Vec<String>,
}

/// A postal address, with the parts of a SCIM address (RFC 7643, section 4.1.2).
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The lines of the street address, at most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$")))]
    pub street: Vec<String>,
    /// The city or town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$"))]
    pub locality: Option<String>,
    /// The state, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^\P{Cc}*$"))]
    pub region: Option<String>,
    /// The postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^\P{Cc}*$"))]
    pub postal_code: Option<String>,
    /// The country by its two capital letters (ISO 3166-1 alpha-2), such as `US`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2), regex(pattern = r"^[A-Z]{2}$"))]
    pub country: Option<String>,
}

/// Names a `UserGroup` of the same organization.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRef {
    /// The name of the `UserGroup`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

impl Default for GroupRef {
    fn default() -> Self {
        Self { name: "users".to_owned() }
    }
}

/// Names a `User` of the same organization.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// The name of the `User`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// What a person may do beside what their group may.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PermissionsSpec {
    /// The person's own permissions, such as `orders:read`. At most 256 of 125 characters. Full
    /// control, `*`, comes only from a group with `fullControl`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 125)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = Rule::new("self.all(p, p.matches('^[a-z0-9-]+(:[a-z0-9-]+)*$'))")
        .message("a permission is lower-case words joined by colons, such as orders:read; full control (*) comes only from a group's fullControl"))]
    pub grants: Vec<String>,

    /// Another User whose permissions this one inherits (followed for ever) or clones (once).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PermissionSource>,
}

/// The User whose permissions are inherited or cloned.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionSource {
    /// The name of the `User`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// `Inherit` follows every later change of that User, `Clone` copies its permissions once.
    pub mode: SourceMode,
}

/// How permissions come from another User.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceMode {
    /// Follow every later change.
    Inherit,
    /// Copy once.
    Clone,
}

/// Points at the Secret of type `roster.rs/password` that holds a password.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// The key of the password in the Secret.
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub key: String,
    /// The key of the password's repetition; where it is set, both must be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub confirmation_key: Option<String>,
}

fn password_key() -> String {
    "password".to_owned()
}

/// Whether a person may log in.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesiredState {
    /// The person may log in.
    #[default]
    Enabled,
    /// The person can't log in; the account stays and is billed.
    Disabled,
}

/// Whether a User is protected from being deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionProtection {
    /// Deleting is refused.
    #[default]
    Enabled,
    /// Deleting is allowed.
    Disabled,
}

/// What deleting a User does to its account.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// The account is deleted for good.
    #[default]
    Delete,
    /// The account stays, without a User.
    Retain,
}

/// What the operator last saw and did about a User.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserStatus {
    /// The generation of the spec that this status is about; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What state the account is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AccountState>,
    /// The login name, `<username>.<customer ID>`, fixed for the life of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub login_name: Option<String>,
    /// The id of the account in the store, a UUIDv7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub account_id: Option<String>,
    /// The email in force, in the form the login uses; without an account the one asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub email: Option<String>,
    /// The group in force; without an account the one asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Values that the member set and that differ from the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<MemberProfile>,
    /// The transaction in flight, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionStatus>,
    /// What the person may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<PermissionsStatus>,
    /// Where cloned permissions came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone: Option<CloneStatus>,
    /// Where the copied profile, role and teams came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyStatus>,
    /// How many Users inherit from this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heirs: Option<i64>,
    /// Since when the account is billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<BillingStatus>,
    /// What holds: Ready, InTransaction, LoginReady, Billable, PermissionsResolved and
    /// EmailAccepted always; DirectoriesCurrent, whether every directory has confirmed what is in
    /// force, where directories are in use; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What state an account is in.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    /// There is no account yet.
    Pending,
    /// The account is being created.
    Creating,
    /// The person may log in.
    Enabled,
    /// A new password is on its way.
    ChangingPassword,
    /// The account is being disabled.
    Disabling,
    /// The person can't log in.
    Disabled,
    /// The account is being enabled.
    Enabling,
    /// The account is being deleted.
    Deleting,
}

/// A member's own values, where they differ from the spec.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberProfile {
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub display_name: Option<String>,
    /// A telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub phone: Option<String>,
    /// A postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The time zone by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
    /// What the person is notified of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    pub notifications: Option<Vec<String>>,
}

/// A transaction of an account.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionStatus {
    /// The transaction's id, the same after a crash and a retry.
    #[schemars(length(max = 36))]
    pub id: String,
    /// What the transaction does.
    #[serde(rename = "type")]
    pub kind: TransactionType,
    /// How far it is.
    pub state: TransactionState,
    /// When the store wrote it down.
    pub start_time: Timestamp,
    /// When it is overdue.
    pub deadline_time: Timestamp,
    /// When the store and every directory had confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
}

/// What a transaction does.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionType {
    /// Creates the account.
    Create,
    /// Deletes the account.
    Delete,
    /// Changes the password.
    PasswordChange,
    /// Keeps the person from logging in.
    Disable,
    /// Lets the person log in again.
    Enable,
}

/// How far a transaction is.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionState {
    /// On its way.
    InProgress,
    /// Confirmed everywhere.
    Completed,
    /// Past its deadline and still on its way.
    Overdue,
    /// Ended by a transaction that takes rights away.
    Superseded,
}

/// What a person may do, and where it comes from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionsStatus {
    /// The permissions in effect, in alphabetical order; the first 64.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 125)))]
    pub effective: Vec<String>,
    /// How many permissions are in effect.
    pub total: i64,
    /// A digest of all permissions in effect (SHA-256, in hexadecimal).
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Where the person's own permissions come from.
    pub source: PermissionOrigin,
    /// The Users that permissions are inherited through, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)))]
    pub chain: Vec<String>,
}

/// Where a person's own permissions come from.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionOrigin {
    /// From the User itself.
    Own,
    /// From another User, followed.
    Inherited,
    /// From another User, copied once.
    Cloned,
}

/// Where cloned permissions came from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloneStatus {
    /// The name of the User.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The uid of the User.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation of the User at that moment.
    pub generation: i64,
    /// When the permissions were copied.
    pub clone_time: Timestamp,
}

/// Where the copied profile, role and teams came from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyStatus {
    /// The name of the User.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The uid of the User.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation of the User at that moment.
    pub generation: i64,
    /// When they were copied.
    pub copy_time: Timestamp,
    /// The number in the email's `(Copy X)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
}

/// Since when an account is billed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillingStatus {
    /// The first calendar month that is billed, as `YYYY-MM`.
    #[schemars(length(max = 7))]
    pub since: String,
}
