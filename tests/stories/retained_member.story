Whose account was retained still changes it, and the directory has it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: users}
spec: {selfService: [Email]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, deletionPolicy: Retain, chargeApproved: true}

=== directory good

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
writes 10

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active users []
event User/alice AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== member alice email alison@acme.example

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alison@acme.example Enabled users [] revision=3
directory has alice.acme alison@acme.example active users []
writes 0
