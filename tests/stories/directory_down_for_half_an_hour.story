A directory is down for half an hour: what waits for it is overdue after twenty minutes and says so, nothing else stops, and all of it settles once it is back.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, permissions: {from: {name: bob, mode: Inherit}}}

=== directory good

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] <- bob Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
directory has carol.acme carol@acme.example active users []
writes 17

=== directory down

=== apply
kind: User
metadata: {name: dave}
spec: {email: dave@acme.example, profile: {displayName: Dave}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, state: Disabled, permissions: {grants: [orders:read]}}

=== delete User alice

=== wait 16 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete InProgress Ready=False DirectoryUnavailable Reconciling
  the Delete is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Disabling bob@acme.example users [orders:read] heirs=1 Disable InProgress Ready=False DirectoryUnavailable Reconciling
  the Disable is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/dave Creating dave@acme.example users [] Create InProgress Ready=False DirectoryUnavailable Reconciling
  the Create is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 3 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
directory has carol.acme carol@acme.example active users []
writes 5

=== wait 5 minutes

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete Overdue Ready=False DeadlineExceeded Stalled
  the Delete is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Disabling bob@acme.example users [orders:read] heirs=1 Disable Overdue Ready=False DeadlineExceeded Stalled
  the Disable is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/dave Creating dave@acme.example users [] Create Overdue Ready=False DeadlineExceeded Stalled
  the Create is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 3 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
directory has carol.acme carol@acme.example active users []
event User/dave DeadlineExceeded: the transaction in flight is overdue and goes on: the condition Ready says what it waits for
event User/alice DeadlineExceeded: the transaction in flight is overdue and goes on: the condition Ready says what it waits for
event User/bob DeadlineExceeded: the transaction in flight is overdue and goes on: the condition Ready says what it waits for
writes 3

=== wait 9 minutes

=== apply
kind: User
metadata: {name: erin}
spec: {email: erin@acme.example, profile: {displayName: Erin}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=4 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete Overdue Ready=False DeadlineExceeded Stalled
  the Delete is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Disabling bob@acme.example users [orders:read] heirs=1 Disable Overdue Ready=False DeadlineExceeded Stalled
  the Disable is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
User/dave Creating dave@acme.example users [] Create Overdue Ready=False DeadlineExceeded Stalled
  the Create is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
User/erin Creating erin@acme.example users [] Create InProgress Ready=False DirectoryUnavailable Reconciling
  the Create is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=4 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 4 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
account erin.acme erin@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
directory has carol.acme carol@acme.example active users []
writes 3

=== directory good

=== wait 5 minutes

=== expect
OrgEmailDomain/acme acme.example users=4 Ready=True Reconciled -
User/bob Disabled bob@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=True Reconciled -
User/dave Enabled dave@acme.example users [] Ready=True Reconciled -
User/erin Enabled erin@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=4 Ready=True Reconciled -
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=2
account carol.acme carol@acme.example Enabled users [] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
account erin.acme erin@acme.example Enabled users [] revision=1
directory has bob.acme bob@acme.example inactive users [orders:read]
directory has carol.acme carol@acme.example active users [orders:read]
directory has dave.acme dave@acme.example active users []
directory has erin.acme erin@acme.example active users []
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 7
