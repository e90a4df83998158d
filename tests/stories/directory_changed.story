What somebody else changes in a directory is put back within a period, and said, also of an account without a User; at rest nothing is written.

=== directory good

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
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, state: Disabled}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, deletionPolicy: Retain}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
writes 9

=== delete User carol

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
event User/carol AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== directory compared 3

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
compared 9
writes 0

=== directory changed bob.acme

=== directory changed carol.acme

=== directory loses alice.acme

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has bob.acme changed@elsewhere.example active administrators [*]
directory has carol.acme changed@elsewhere.example active administrators [*]
writes 0

=== directory compared 1

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
event User/alice DirectoryDrift
event User/bob DirectoryDrift
compared 3
writes 2

=== directory compared 3

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Disabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
compared 9
writes 0
