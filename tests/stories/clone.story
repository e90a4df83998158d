A clone is taken once, and only another name, another mode or its removal change it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Clone}}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b], from: {name: carol, mode: Inherit}}}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [c]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,c] cloned from bob at 1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b,c] <- carol Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 12

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [other]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,c] cloned from bob at 1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 2

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,c] cloned from bob at 1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 0

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: carol, mode: Clone}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,c] cloned from carol at 1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=2
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: nobody, mode: Clone}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User nobody: create it, or name another one
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=3
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,other] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=4
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 2

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Clone}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,other] cloned from bob at 2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=5
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 2

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [other] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [c] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=6
account bob.acme bob@acme.example Enabled users ["other"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 1
