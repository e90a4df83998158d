Counts follow whatever moves an address: an edit of the list, a narrower domain, somebody else's plan.

=== apply
kind: OrgEmailDomain
metadata: {name: wide}
spec: {domain: acme.example, includeSubdomains: true}
---
kind: User
metadata: {name: alice}
spec: {email: alice@eu.acme.example, profile: {displayName: Alice}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/wide acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@eu.acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@eu.acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
writes 8

=== apply
kind: OrgEmailDomain
metadata: {name: narrow}
spec: {domain: eu.acme.example}

=== expect
OrgEmailDomain/narrow eu.acme.example users=1 Ready=True Reconciled -
OrgEmailDomain/wide acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@eu.acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@eu.acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
writes 3

=== apply
kind: User
metadata: {name: carol}
spec: {email: bob@acme.example, profile: {displayName: Carol}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@eu.acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/narrow eu.acme.example users=2 Ready=True Reconciled -
OrgEmailDomain/wide acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@eu.acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@eu.acme.example users [] Ready=True Reconciled -
User/carol Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@eu.acme.example Enabled users [] revision=1
account carol.acme bob@acme.example Enabled users [] revision=1
account bob.acme bob@eu.acme.example Enabled users [] revision=3
writes 4

=== apply
kind: OrgEmailDomain
metadata: {name: narrow}
spec: {domain: us.acme.example}

=== expect
OrgEmailDomain/narrow us.acme.example users=0 Ready=True Reconciled -
OrgEmailDomain/wide acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@eu.acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@eu.acme.example users [] Ready=True Reconciled -
User/carol Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@eu.acme.example Enabled users [] revision=1
account carol.acme bob@acme.example Enabled users [] revision=1
account bob.acme bob@eu.acme.example Enabled users [] revision=3
writes 3
