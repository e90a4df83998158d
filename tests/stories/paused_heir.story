A paused heir follows its source, but not its own spec.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Inherit}}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
writes 11

=== apply
kind: User
metadata: {name: alice, annotations: {roster.rs/paused: 'true'}}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [new]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] <- bob Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
writes 1

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b2]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b2] <- bob Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
User/bob Enabled bob@acme.example users [b2] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b2"] revision=2
writes 2
