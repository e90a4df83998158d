A namespace's customer ID is put back with etcd: what was refused for another one isn't any more.

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: depot}}
---
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
account alice.depot alice@acme.example Enabled users [] revision=1
writes 7

=== etcd backup

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: harbour}}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False CustomerIdChanged Stalled
  this organization's customer ID is depot since its first account: label the namespace roster.rs/customer-id=depot again (unlocked by its label roster.rs/deletion-protection=off)
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.depot alice@acme.example Enabled users [] revision=1
event User/alice CustomerIdChanged: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== etcd restore

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.depot alice@acme.example Enabled users [] revision=1
writes 0
