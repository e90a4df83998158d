An account is created once its group, domain and charge are there, whatever came first.

=== apply
kind: User
metadata: {name: alice}
spec: {email: Alice@Acme.example, profile: {displayName: Alice Smith}, groupRef: {name: dispatchers}, permissions: {grants: [orders:read]}}

=== expect
User/alice Pending alice@acme.example dispatchers null Ready=False ChargeNotApproved Stalled
  an account costs an additional charge: approve it by setting spec.chargeApproved to true
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice ChargeNotApproved: refused: the condition Ready in the status says what is wrong and what to do
writes 5

=== apply
kind: User
metadata: {name: alice}
spec: {email: Alice@Acme.example, profile: {displayName: Alice Smith}, groupRef: {name: dispatchers}, permissions: {grants: [orders:read]}, chargeApproved: true}

=== expect
User/alice Pending alice@acme.example dispatchers null Ready=False GroupNotFound Reconciling
  there is no UserGroup dispatchers in force: create it, or name another one in spec.groupRef
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 1

=== apply
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: [cases:read]}

=== expect
User/alice Pending alice@acme.example dispatchers null Ready=False DomainNotAllowed Reconciling
  the domain acme.example isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 2

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: ACME.example}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [cases:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["orders:read"] revision=1
writes 4

=== resync

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [cases:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["orders:read"] revision=1
writes 0

=== restart

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [cases:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["orders:read"] revision=1
writes 0
