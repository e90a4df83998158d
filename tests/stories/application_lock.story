An application that has locked somebody's cases holds up that one, who says so, and nobody else.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
writes 8

=== store keeps alice

=== delete User alice

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, state: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Disabled alice@acme.example users [] Ready=False StoreUnavailable Reconciling
  an application has locked what this change needs in the account store, the table cases or rows of it, by a transaction that doesn't end: the change is applied once it ends; PostgreSQL's views pg_locks and pg_stat_activity say whose it is
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled users [] revision=2
account bob.acme bob@acme.example Disabled users [] revision=2
event User/alice StoreUnavailable
writes 5

=== store lets go

=== wait 1 minutes

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Disabled users [] revision=2
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 1
