What a directory refuses is told of settled people too, once, and in the group; a restart changes nothing of it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: drivers}
spec: {permissions: [routes:read, routes:write]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: drivers}, chargeApproved: true, permissions: {grants: [orders:read]}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, groupRef: {name: drivers}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true}

=== directory good

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [orders:read,routes:read,routes:write] Ready=True Reconciled -
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers ["orders:read"] revision=1
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 17

=== directory refuses alice bob

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice, phone: "+1 602 555 0100"}, groupRef: {name: drivers}, chargeApproved: true, permissions: {grants: [orders:read]}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob, phone: "+1 602 555 0100"}, groupRef: {name: drivers}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol, phone: "+1 602 555 0100"}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [orders:read,routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryRefused: the directory directory doesn't have what is in force of 2 member(s) (of the first: it refuses the account: no telephone numbers here); their Users say more; correct what it names, here or in the directory: it is tried again, less and less often
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers ["orders:read"] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
event User/alice DirectoryRefused
writes 7

=== resync

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [orders:read,routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryRefused: the directory directory doesn't have what is in force of 2 member(s) (of the first: it refuses the account: no telephone numbers here); their Users say more; correct what it names, here or in the directory: it is tried again, less and less often
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers ["orders:read"] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 0

=== wait 5 minutes

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice, phone: "+1 602 555 0199"}, groupRef: {name: drivers}, chargeApproved: true, permissions: {grants: [orders:read]}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [orders:read,routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=False DirectoryRefused Stalled
  the directory directory doesn't have what is in force (it refuses the account: no telephone numbers here); correct what it names, here or in the directory: it is tried again, less and less often
  DirectoriesCurrent=False DirectoryRefused: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryRefused: the directory directory doesn't have what is in force of 2 member(s) (of the first: it refuses the account: no telephone numbers here); their Users say more; correct what it names, here or in the directory: it is tried again, less and less often
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers ["orders:read"] revision=3
account bob.acme bob@acme.example Enabled drivers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 1

=== directory good

=== wait 5 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [orders:read,routes:read,routes:write] Ready=True Reconciled -
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers ["orders:read"] revision=3
account bob.acme bob@acme.example Enabled drivers [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 4
