A User that is deleted with the policy Retain leaves its account behind, whatever the protection; the same name or spec.adopt takes it back.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, permissions: {grants: [orders:read]}, deletionPolicy: Retain, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=1
writes 7

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
event User/alice AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith}}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False ChargeNotApproved Stalled
  an account costs an additional charge: approve it by setting spec.chargeApproved to true
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
event User/alice ChargeNotApproved: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith}, deletionPolicy: Retain, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
event User/alice AccountTakenBack
writes 2

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=4
event User/alice AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== adopt alice
kind: User
metadata: {name: alison}
spec: {email: alison@acme.example, profile: {displayName: Alison Smith}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alison Enabled alison@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alison@acme.example Enabled users [] revision=5
event User/alison AccountAdopted
writes 2

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, adopt: 00000000-0000-7000-8000-000000000000, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alison Enabled alison@acme.example users [] Ready=True Reconciled -
User/bob Pending bob@acme.example users null Ready=False NotAdoptable Stalled
  spec.adopt: this organization has no account 00000000-0000-7000-8000-000000000000: delete this User and create it with an id that roster doctor lists, or without one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alison@acme.example Enabled users [] revision=5
event User/bob NotAdoptable: refused: the condition Ready in the status says what is wrong and what to do
writes 1
