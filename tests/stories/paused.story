A paused object's spec and deletion wait.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice, annotations: {roster.rs/paused: "true"}}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 6

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
writes 3
