A paused User follows whom it followed before its spec began to wait, and its status with it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [], from: {name: bob, mode: Inherit}}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [], from: {name: carol, mode: Inherit}}}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [orders:read]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] <- bob <- carol Ready=True Reconciled -
User/bob Enabled bob@acme.example users [orders:read] <- carol heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
account carol.acme carol@acme.example Enabled users ["orders:read"] revision=1
writes 13

=== apply
kind: User
metadata: {name: alice, annotations: {roster.rs/paused: "true"}}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [], from: {name: alice, mode: Inherit}}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [], from: {name: alice, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] heirs=1 Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
User/bob Enabled bob@acme.example users [] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Enabled carol@acme.example users [orders:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=2
account carol.acme carol@acme.example Enabled users ["orders:read"] revision=1
event User/bob InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
writes 3

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [], from: {name: carol, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] <- bob <- carol Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
User/bob Enabled bob@acme.example users [orders:read] <- carol heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled users [] revision=3
account carol.acme carol@acme.example Enabled users ["orders:read"] revision=1
writes 3
