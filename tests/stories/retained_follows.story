An account without a User follows its group and its source at once, and so do heirs behind it, in status and directory, also after a restart.

=== directory good

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: [cases:read]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [orders:read, orders:write]}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, groupRef: {name: dispatchers}, deletionPolicy: Retain, permissions: {from: {name: alice, mode: Inherit}}}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {from: {name: bob, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read,orders:write] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example dispatchers [cases:read,orders:read,orders:write] <- alice heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read,orders:write] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read", "orders:write"] revision=1
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users [orders:read,orders:write]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read,orders:write]
directory has carol.acme carol@acme.example active users [orders:read,orders:write]
writes 15

=== delete User bob

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read,orders:write] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read,orders:write] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read", "orders:write"] revision=1
account bob.acme bob@acme.example Enabled dispatchers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users [orders:read,orders:write]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read,orders:write]
directory has carol.acme carol@acme.example active users [orders:read,orders:write]
event User/bob AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [orders:read]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
account bob.acme bob@acme.example Enabled dispatchers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users [orders:read]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
writes 2

=== apply
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: []}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
account bob.acme bob@acme.example Enabled dispatchers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users [orders:read]
directory has bob.acme bob@acme.example active dispatchers [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
writes 1

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
account bob.acme bob@acme.example Enabled dispatchers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users [orders:read]
directory has bob.acme bob@acme.example active dispatchers [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
writes 0

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: []}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] <- bob <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled dispatchers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active dispatchers []
directory has carol.acme carol@acme.example active users []
writes 2

=== adopt bob
kind: User
metadata: {name: bobby}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, groupRef: {name: dispatchers}, permissions: {grants: [parcels:read]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bobby Enabled bob@acme.example dispatchers [parcels:read] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User bob: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled dispatchers ["parcels:read"] revision=3
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active dispatchers [parcels:read]
directory has carol.acme carol@acme.example active users []
event User/bobby AccountAdopted
writes 4
