The last enabled administrator stays while there are users, and goes with the last of them.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, groupRef: {name: administrators}, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=1
writes 8

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, role: Chief, state: Disabled, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False LastAdministrator Reconciling
  spec.state and spec.groupRef aren't applied: this is the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=1
writes 1

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False LastAdministrator Reconciling
  deleted while others stay, but this is the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=2
account bob.acme bob@acme.example Enabled users [] revision=1
writes 3

=== delete User bob

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
event User/bob AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 4
