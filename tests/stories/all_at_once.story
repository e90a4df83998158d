What is applied together settles with one write each, in the wrong order too.

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: dispatchers}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@eu.acme.example, profile: {displayName: Bob}, groupRef: {name: administrators}, chargeApproved: true}
---
kind: UserGroup
metadata: {name: dispatchers}
---
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example, includeSubdomains: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [] Ready=True Reconciled -
User/bob Enabled bob@eu.acme.example administrators [*] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
account bob.acme bob@eu.acme.example Enabled administrators [] revision=1
writes 10
