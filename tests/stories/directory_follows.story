Directories follow what others' accounts and groups change, also over a crash, and without a transaction.

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
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [orders:read]}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, groupRef: {name: dispatchers}, permissions: {from: {name: alice, mode: Inherit}}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example dispatchers [cases:read,orders:read] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=1
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
directory has alice.acme alice@acme.example active users [orders:read]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read]
writes 12

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: [orders:read, orders:write]}}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read,orders:write] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example dispatchers [cases:read,orders:read,orders:write] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read", "orders:write"] revision=2
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
directory has alice.acme alice@acme.example active users [orders:read,orders:write]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read,orders:write]
writes 2

=== directory down

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, permissions: {grants: []}}
---
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: []}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] heirs=1 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example dispatchers [] <- alice Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 1 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 1 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
directory has alice.acme alice@acme.example active users [orders:read,orders:write]
directory has bob.acme bob@acme.example active dispatchers [cases:read,orders:read,orders:write]
writes 6

=== restart

=== directory good

=== resync

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example dispatchers [] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active dispatchers []
writes 4

=== resync

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] heirs=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example dispatchers [] <- alice Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled dispatchers [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active dispatchers []
writes 0
