A grant, a permission of a group and a group that are taken away aren't gone before the directory has confirmed it.

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

=== directory down

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: drivers}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol, phone: "+1 602 555 0100"}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read,routes:write] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example drivers [routes:read,routes:write] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 1 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 6

=== apply
kind: UserGroup
metadata: {name: drivers}
spec: {permissions: [routes:read]}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 4

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 0

=== wait 25 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/carol Enabled carol@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 1

=== restart

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/bob Enabled bob@acme.example drivers [routes:read] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/carol Enabled carol@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [orders:read,routes:read,routes:write]
directory has bob.acme bob@acme.example active drivers [routes:read,routes:write]
directory has carol.acme carol@acme.example active users []
writes 0

=== directory good

=== wait 5 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=True Reconciled -
User/bob Enabled bob@acme.example drivers [routes:read] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=2 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled drivers [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [routes:read]
directory has bob.acme bob@acme.example active drivers [routes:read]
directory has carol.acme carol@acme.example active users []
writes 5

=== directory down

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 1 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [routes:read]
directory has bob.acme bob@acme.example active drivers [routes:read]
directory has carol.acme carol@acme.example active users []
writes 4

=== directory good

=== wait 3 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [routes:read] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=2
account carol.acme carol@acme.example Enabled users [] revision=2
directory has alice.acme alice@acme.example active drivers [routes:read]
directory has bob.acme bob@acme.example active users []
directory has carol.acme carol@acme.example active users []
writes 2
