Heirs follow their source over every path: an edit, a disabled source, one that arrives later, one that is deleted and created again.

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
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b], from: {name: carol, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False SourceNotReady Reconciling
  spec.permissions.from: the User bob has no account yet; its condition Ready says why
User/bob Pending bob@acme.example users null Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User carol: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 7

=== apply
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, permissions: {grants: [c]}}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False SourceNotReady Reconciling
  spec.permissions.from: the User bob has no account yet; its condition Ready says why
User/bob Pending bob@acme.example users null Ready=False SourceNotReady Reconciling
  spec.permissions.from: the User carol has no account yet; its condition Ready says why
User/carol Pending carol@acme.example users null Ready=False ChargeNotApproved Stalled
  an account costs an additional charge: approve it by setting spec.chargeApproved to true
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/carol ChargeNotApproved: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== apply
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [c]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,c] <- bob <- carol Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b,c] <- carol heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 7

=== apply
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [d]}, state: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,d] <- bob <- carol Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b,d] <- carol heirs=1 Ready=True Reconciled -
User/carol Disabled carol@acme.example users [d] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
account carol.acme carol@acme.example Disabled users ["d"] revision=2
writes 3

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b]}, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=True Reconciled -
User/carol Disabled carol@acme.example users [d] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Disabled users ["d"] revision=2
writes 3

=== delete User bob

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InUse Reconciling
  deleted, but others inherit from it (alice): change their spec.permissions.from, or delete them
User/carol Disabled carol@acme.example users [d] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Disabled users ["d"] revision=2
writes 3

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=True Reconciled -
User/carol Disabled carol@acme.example users [d] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=2
account carol.acme carol@acme.example Disabled users ["d"] revision=2
event User/bob AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 2

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User bob: create it, or name another one
User/carol Disabled carol@acme.example users [d] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=3
account carol.acme carol@acme.example Disabled users ["d"] revision=2
writes 1

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b2]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b2] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b2] heirs=1 Ready=True Reconciled -
User/carol Disabled carol@acme.example users [d] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=3
account bob.acme bob@acme.example Enabled users ["b2"] revision=1
account carol.acme carol@acme.example Disabled users ["d"] revision=2
writes 4
