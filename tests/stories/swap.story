Two users who swap their addresses do it in one transaction, and nobody is refused on the way.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
writes 8

=== apply
kind: User
metadata: {name: alice}
spec: {email: bob@acme.example, profile: {displayName: Alice}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: alice@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled bob@acme.example users [] Ready=True Reconciled -
User/bob Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account bob.acme alice@acme.example Enabled users [] revision=3
account alice.acme bob@acme.example Enabled users [] revision=2
writes 2
