A directory that is down holds up what it has to confirm, and nothing else.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== secret alice-password
umbrella lantern quartz pelican

=== directory good

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
judged the password of alice
writes 14

=== directory down

=== secret alice-password
sixteen candles over a harbour

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice ChangingPassword alice@acme.example users [] PasswordChange InProgress Ready=False DirectoryUnavailable Reconciling
  the PasswordChange is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
judged the password of alice
writes 4

=== login alice
sixteen candles over a harbour

=== secret alice-password
eleven ravens beneath the bridge

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice ChangingPassword alice@acme.example users [] PasswordChange InProgress Ready=False QueuedBehindTransaction Reconciling
  the PasswordChange of this account is in flight: what was changed since is applied when it ends; what takes rights away was applied at once
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
alice logs in with sixteen candles over a harbour
judged the password of alice
writes 1

=== wait 25 minutes

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice ChangingPassword alice@acme.example users [] PasswordChange Overdue Ready=False DeadlineExceeded Stalled
  the PasswordChange is past its deadline and goes on: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Enabled bob@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 2 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account alice.acme alice@acme.example Enabled users [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
event User/alice DeadlineExceeded: the transaction in flight is overdue and goes on: the condition Ready says what it waits for
writes 2

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete InProgress Ready=False DirectoryUnavailable Reconciling
  the Delete is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Enabled bob@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force of 1 member(s) (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
writes 3

=== restart

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete InProgress Ready=False DirectoryUnavailable Reconciling
  the Delete is in flight and tried again and again: the directory directory hasn't confirmed it (it can't be reached: it is down)
  DirectoriesCurrent=False DirectoryUnavailable: the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
User/bob Enabled bob@acme.example users [] Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force, and may still give what was taken away (it can't be reached: it is down); see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=False DirectoryUnavailable Reconciling
  the directory directory doesn't have what is in force of 1 member(s), and may still give what was taken away (of the first: it can't be reached: it is down); their Users say more; see to the directory: it is tried again and again
  DirectoriesCurrent=False DirectoryUnavailable: the same
account bob.acme bob@acme.example Enabled users [] revision=1
directory has alice.acme alice@acme.example active users []
directory has bob.acme bob@acme.example active users []
writes 2

=== directory good

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
directory has bob.acme bob@acme.example active users []
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 3
