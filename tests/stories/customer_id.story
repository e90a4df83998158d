A customer ID must be one, and is fixed by the first account: an existing account goes on, a new one waits for the cure.

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: Not.One}}
---
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False CustomerIdInvalid Stalled
  the namespace's label roster.rs/customer-id: a customer ID is made of lower-case letters, digits and dashes, at most 63, and starts and ends with a letter or digit
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice CustomerIdInvalid: refused: the condition Ready in the status says what is wrong and what to do
writes 6

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: one}}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.one alice@acme.example Enabled users [] revision=1
writes 3

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: two}}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, role: Dispatcher, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False CustomerIdChanged Stalled
  this organization's customer ID is one since its first account: label the namespace roster.rs/customer-id=one again (unlocked by its label roster.rs/deletion-protection=off)
User/bob Pending bob@acme.example users null Ready=False CustomerIdChanged Stalled
  this organization's customer ID is one since its first account: label the namespace roster.rs/customer-id=one again (unlocked by its label roster.rs/deletion-protection=off)
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.one alice@acme.example Enabled users [] revision=2
event User/alice CustomerIdChanged: refused: the condition Ready in the status says what is wrong and what to do
event User/bob CustomerIdChanged: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== apply
kind: Namespace
metadata: {name: acme, labels: {roster.rs/customer-id: one}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.one alice@acme.example Enabled users [] revision=2
account bob.one bob@acme.example Enabled users [] revision=1
writes 4
