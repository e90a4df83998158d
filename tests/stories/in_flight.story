While a transaction is in flight edits wait, and what takes rights away doesn't.

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
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: administrators}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
writes 8

=== directory silent

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, groupRef: {name: dispatchers}, permissions: {grants: [orders:read, orders:write]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
User/bob Creating bob@acme.example dispatchers [cases:read,orders:read,orders:write] Create InProgress Ready=False Create Reconciling
  the Create is in force in the store, and on its way to the directories
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/dispatchers members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Enabled dispatchers ["orders:read", "orders:write"] revision=1
writes 11

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
User/bob Creating bob@acme.example users [orders:read] Create InProgress Ready=False QueuedBehindTransaction Reconciling
  the Create of this account is in flight: what was changed since is applied when it ends; what takes rights away was applied at once
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=2
writes 3

=== wait 21 minutes

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False DirectoryPending Reconciling
  the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
  DirectoriesCurrent=False DirectoryPending: the same
User/bob Creating bob@acme.example users [orders:read] Create Overdue Ready=False DeadlineExceeded Stalled
  the Create is past its deadline and goes on: the directory directory hasn't confirmed it
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=2
event User/bob DeadlineExceeded: the transaction in flight is overdue and goes on: the condition Ready says what it waits for
writes 2

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, state: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False DirectoryPending Reconciling
  the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
  DirectoriesCurrent=False DirectoryPending: the same
User/bob Disabling bob@acme.example users [orders:read] Disable InProgress Ready=False QueuedBehindTransaction Reconciling
  the Disable of this account is in flight: what was changed since is applied when it ends; what takes rights away was applied at once
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=3
writes 1

=== restart

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False DirectoryPending Reconciling
  the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
  DirectoriesCurrent=False DirectoryPending: the same
User/bob Disabling bob@acme.example users [orders:read] Disable InProgress Ready=False QueuedBehindTransaction Reconciling
  the Disable of this account is in flight: what was changed since is applied when it ends; what takes rights away was applied at once
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Disabled users ["orders:read"] revision=3
writes 0

=== directory good

=== restart

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Disabled robert@acme.example users [invoices:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme robert@acme.example Disabled users ["invoices:read", "orders:read"] revision=4
directory has alice.acme alice@acme.example active administrators [*]
directory has bob.acme robert@acme.example inactive users [invoices:read,orders:read]
writes 6

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Enabled robert@acme.example users [invoices:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme robert@acme.example Enabled users ["invoices:read", "orders:read"] revision=5
directory has alice.acme alice@acme.example active administrators [*]
directory has bob.acme robert@acme.example active users [invoices:read,orders:read]
writes 1

=== resync

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Enabled robert@acme.example users [invoices:read,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/dispatchers members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme robert@acme.example Enabled users ["invoices:read", "orders:read"] revision=5
directory has alice.acme alice@acme.example active administrators [*]
directory has bob.acme robert@acme.example active users [invoices:read,orders:read]
writes 0
