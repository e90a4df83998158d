A clone has what its source gains through a User that is created at the same moment.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
writes 7

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [], from: {name: carol, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User carol: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=2
writes 1

=== apply
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [orders:read]}}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [], from: {name: bob, mode: Clone}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] cloned from bob at 2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [orders:read] <- carol Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=2
account carol.acme carol@acme.example Enabled users ["orders:read"] revision=1
writes 5
