A partly refused edit applies the other parts, and the account keeps its value where it is refused.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, permissions: {grants: [a, b]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a", "b"] revision=1
writes 7

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@other.example, groupRef: {name: nowhere}, profile: {displayName: Alice}, permissions: {grants: [b]}, state: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Disabled alice@acme.example users [b] Ready=False GroupNotFound Reconciling
  there is no UserGroup nowhere in force: create it, or name another one in spec.groupRef
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled users ["b"] revision=2
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@other.example, permissions: {grants: [c], from: {name: bob, mode: Inherit}}, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [c] Ready=False DomainNotAllowed Reconciling
  the domain other.example isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["c"] revision=3
writes 1
