A loop that two edits at once form keeps everybody at what they had and somebody on it is still granted, and heals when it is cut.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a, x]}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b]}}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [c], from: {name: alice, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,x] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [a,c,x] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a", "x"] revision=1
account bob.acme bob@acme.example Enabled users ["b"] revision=1
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 12

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a, x], from: {name: bob, mode: Inherit}}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b], from: {name: alice, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,x] heirs=2 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Enabled carol@acme.example users [a,b,c,x] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a", "x"] revision=3
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
event User/bob InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
event User/alice InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
writes 5

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] heirs=2 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Enabled carol@acme.example users [a,b,c] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=4
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 2

=== apply
kind: User
metadata: {name: dave}
spec: {email: dave@acme.example, profile: {displayName: Dave}, chargeApproved: true, permissions: {grants: [d], from: {name: dave, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] heirs=2 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Enabled carol@acme.example users [a,b,c] <- alice Ready=True Reconciled -
User/dave Pending dave@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (dave -> dave): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=4
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
event User/dave InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] heirs=2 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Enabled carol@acme.example users [a,b,c] <- alice Ready=True Reconciled -
User/dave Pending dave@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (dave -> dave): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=4
account bob.acme bob@acme.example Enabled users ["b"] revision=2
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 0

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b, new]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,new] <- bob heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b,new] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [a,b,c,new] <- alice <- bob Ready=True Reconciled -
User/dave Pending dave@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (dave -> dave): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=5
account bob.acme bob@acme.example Enabled users ["b", "new"] revision=3
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 3

=== resync

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b,new] <- bob heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [b,new] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [a,b,c,new] <- alice <- bob Ready=True Reconciled -
User/dave Pending dave@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (dave -> dave): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=5
account bob.acme bob@acme.example Enabled users ["b", "new"] revision=3
account carol.acme carol@acme.example Enabled users ["c"] revision=1
writes 0
