Users who inherit from each other can go together.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [a], from: {name: bob, mode: Inherit}}, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b]}, deletionProtection: Disabled}

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
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, permissions: {grants: [b], from: {name: alice, mode: Inherit}}, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Enabled bob@acme.example users [b] heirs=1 Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=2
account bob.acme bob@acme.example Enabled users ["b"] revision=2
event User/bob InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
event User/alice InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a,b] heirs=1 Ready=False InUse Reconciling
  deleted, but others inherit from it (bob): change their spec.permissions.from, or delete them
User/bob Enabled bob@acme.example users [b] Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=2
account bob.acme bob@acme.example Enabled users ["b"] revision=2
writes 4

=== delete User bob

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
event User/bob AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 4
