etcd is put back to a backup under the operator: a new user, a grant, a Disable and a deletion are undone, and later edits apply.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: ann}
spec: {email: ann@acme.example, profile: {displayName: Ann}, permissions: {grants: [orders:read]}, chargeApproved: true}
---
kind: User
metadata: {name: dan}
spec: {email: dan@acme.example, profile: {displayName: Dan}, deletionProtection: Disabled, chargeApproved: true}
---
kind: User
metadata: {name: eve}
spec: {email: eve@acme.example, profile: {displayName: Eve}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [orders:read] Ready=True Reconciled -
User/dan Enabled dan@acme.example users [] Ready=True Reconciled -
User/eve Enabled eve@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users ["orders:read"] revision=1
account dan.acme dan@acme.example Enabled users [] revision=1
account eve.acme eve@acme.example Enabled users [] revision=1
writes 9

=== etcd backup

=== apply
kind: User
metadata: {name: ann}
spec: {email: ann@acme.example, profile: {displayName: Ann}, permissions: {grants: [orders:read, payroll:read]}, chargeApproved: true}
---
kind: User
metadata: {name: eve}
spec: {email: eve@acme.example, profile: {displayName: Eve}, state: Disabled, chargeApproved: true}
---
kind: User
metadata: {name: zoe}
spec: {email: zoe@acme.example, profile: {displayName: Zoe}, chargeApproved: true}

=== delete User dan

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [orders:read,payroll:read] Ready=True Reconciled -
User/eve Disabled eve@acme.example users [] Ready=True Reconciled -
User/zoe Enabled zoe@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users ["orders:read", "payroll:read"] revision=2
account eve.acme eve@acme.example Disabled users [] revision=2
account zoe.acme zoe@acme.example Enabled users [] revision=1
event User/dan AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 4

=== etcd restore

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [orders:read] Ready=True Reconciled -
User/dan Pending dan@acme.example users null Ready=False AccountLost Stalled
  the account ID of this User was deleted for good, and the User was put back since, as a restore of etcd does: delete this User (with spec.deletionProtection Disabled) and create it anew for a new account
User/eve Enabled eve@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users ["orders:read"] revision=3
account eve.acme eve@acme.example Enabled users [] revision=3
account zoe.acme zoe@acme.example Enabled users [] revision=1
event User/dan AccountLost: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== apply
kind: User
metadata: {name: eve}
spec: {email: eve@acme.example, profile: {displayName: Eve}, role: After, chargeApproved: true}
---
kind: User
metadata: {name: zoe}
spec: {email: zoe@acme.example, profile: {displayName: Zoe}, role: After, chargeApproved: true}

=== delete User dan

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [orders:read] Ready=True Reconciled -
User/eve Enabled eve@acme.example users [] Ready=True Reconciled -
User/zoe Enabled zoe@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users ["orders:read"] revision=3
account eve.acme eve@acme.example Enabled users [] revision=4
account zoe.acme zoe@acme.example Enabled users [] revision=2
event User/zoe AccountTakenBack
event User/dan AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 4
