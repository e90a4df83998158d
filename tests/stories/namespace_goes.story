Accounts whose Users were retained keep neither the last administrator nor a source in a namespace that goes, and have their group and domain as long as they are there.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: crew}
spec: {permissions: [routes:read]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: administrators}, permissions: {grants: [orders:read]}, deletionProtection: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/crew members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators ["orders:read"] revision=1
writes 8

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, groupRef: {name: crew}, permissions: {from: {name: alice, mode: Inherit}}, deletionPolicy: Retain, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, deletionProtection: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*,orders:read] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example crew [orders:read,routes:read] <- alice Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/crew members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators ["orders:read"] revision=1
account bob.acme bob@acme.example Enabled crew [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
writes 6

=== delete User bob

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*,orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/crew members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators ["orders:read"] revision=1
account bob.acme bob@acme.example Enabled crew [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
event User/bob AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== delete User alice

=== delete UserGroup crew

=== delete User carol

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*,orders:read] heirs=1 Ready=False InUse Reconciling
  deleted, but others inherit from it (bob): change their spec.permissions.from, or delete them
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/crew members=1 Ready=False InUse Reconciling
  deleted, but there are still 1 member(s): move them to another group or delete their Users
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators ["orders:read"] revision=1
account bob.acme bob@acme.example Enabled crew [] revision=2
event User/carol AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 6

=== apply
kind: Namespace
metadata: {name: acme, deletionTimestamp: "2026-01-01T00:00:00Z"}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled crew [] revision=2
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 2

=== delete OrgEmailDomain acme

=== delete UserGroup administrators

=== delete UserGroup users

=== expect
account bob.acme bob@acme.example Enabled crew [] revision=2
writes 3
