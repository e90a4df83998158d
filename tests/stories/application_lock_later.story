Whose change follows from something else than an edit, and is held up by an application, says so too.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
writes 7

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@lab.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False DomainNotAllowed Reconciling
  the domain lab.example isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
writes 1

=== store keeps alice

=== apply
kind: OrgEmailDomain
metadata: {name: lab}
spec: {domain: lab.example}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
OrgEmailDomain/lab lab.example users=0 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False StoreUnavailable Reconciling
  an application has locked what this change needs in the account store, the table cases or rows of it, by a transaction that doesn't end: the change is applied once it ends; PostgreSQL's views pg_locks and pg_stat_activity say whose it is
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
event User/alice StoreUnavailable
writes 3

=== store lets go

=== wait 1 minutes

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
OrgEmailDomain/lab lab.example users=1 Ready=True Reconciled -
User/alice Enabled alice@lab.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@lab.example Enabled users [] revision=3
writes 3
