In another cluster an account that was left behind in the middle of a transaction is taken back when that ends, and at once where nothing of its User waits.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, state: Disabled, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, permissions: {grants: [orders:read]}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, permissions: {from: {name: bob, mode: Inherit}}, chargeApproved: true}

=== directory good

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Disabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled users [] revision=1
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example inactive users []
directory has bob.acme bob@acme.example active users [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
writes 17

=== directory down

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, permissions: {grants: [orders:read]}, state: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabling alice@acme.example users [] Enable InProgress Ready=False DirectoryUnavailable Reconciling
  the Enable is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Disabling bob@acme.example users [orders:read] heirs=1 Disable InProgress Ready=False DirectoryUnavailable Reconciling
  the Disable is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 3 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example inactive users []
directory has bob.acme bob@acme.example active users [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
writes 5

=== another cluster

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, role: Chief, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, state: Disabled, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, groupRef: {name: drivers}, permissions: {from: {name: bob, mode: Inherit}}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False QueuedBehindTransaction Reconciling
  the Enable of the account <id of alice.acme>, which this User takes over, is in flight: the account is taken over when it ends, and nothing is applied before
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Disabling bob@acme.example users [] heirs=1 Disable InProgress Ready=False DirectoryUnavailable Reconciling
  the Disable is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/carol Pending carol@acme.example drivers null Ready=False NotAdoptable Stalled
  the account <id of carol.acme> of this name was left behind in the group users, so only a User that asks for that group takes it back: set spec.groupRef to users and change it afterwards; or delete this User and create it with spec.adopt <id of carol.acme>, which needs the verb adopt on accounts.roster.rs/<id of carol.acme>
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 3 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Disabled users [] revision=3
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example inactive users []
directory has bob.acme bob@acme.example active users [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
event User/bob AccountTakenBack
event User/carol NotAdoptable: refused: the condition Ready in the status says what is wrong and what to do
writes 9

=== directory good

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Disabled bob@acme.example users [] heirs=1 Ready=True Reconciled -
User/carol Pending carol@acme.example drivers null Ready=False NotAdoptable Stalled
  the account <id of carol.acme> of this name was left behind in the group users, so only a User that asks for that group takes it back: set spec.groupRef to users and change it afterwards; or delete this User and create it with spec.adopt <id of carol.acme>, which needs the verb adopt on accounts.roster.rs/<id of carol.acme>
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Disabled users [] revision=3
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example inactive users []
directory has carol.acme carol@acme.example active users []
event User/alice AccountTakenBack
writes 6
