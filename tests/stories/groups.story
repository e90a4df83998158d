What a group gives is in force for its members at once, except that the last administrator keeps full control.

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
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: dispatchers}, permissions: {grants: [own]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [cases:read,own] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["own"] revision=1
writes 9

=== apply
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: [cases:write], fullControl: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [*,cases:write,own] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["own"] revision=1
writes 2

=== apply
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: [cases:delete], selfService: [Phone]}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [*,cases:delete,own] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=False LastAdministrator Reconciling
  spec.fullControl isn't applied: in this group is the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers ["own"] revision=1
writes 2
