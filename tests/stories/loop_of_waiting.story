A loop of Users without accounts is none any more once one of them is gone, and everybody behind it hears of it.

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
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {grants: [], from: {name: alice, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (alice -> bob -> carol -> alice): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/bob Pending bob@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (bob -> carol -> alice -> bob): change spec.permissions.from of one of them; until then nothing new is inherited on it
User/carol Pending carol@acme.example users null Ready=False InheritanceCycle Stalled
  permissions are inherited in a loop (carol -> alice -> bob -> carol): change spec.permissions.from of one of them; until then nothing new is inherited on it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
event User/bob InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
event User/carol InheritanceCycle: refused: the condition Ready in the status says what is wrong and what to do
writes 8

=== delete User carol

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False SourceNotReady Reconciling
  spec.permissions.from: the User bob has no account yet; its condition Ready says why
User/bob Pending bob@acme.example users null Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User carol: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 3
