When the answer to a commit gets lost, those who wait for what it did are looked at all the same.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [], from: {name: bob, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User bob: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 6

=== store forgets 1

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [orders:read]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
writes 5
