What members may change of themselves stays until the field is declared anew.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: drivers}
spec: {selfService: [Phone, Email]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, groupRef: {name: drivers}}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example drivers [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled drivers [] revision=1
writes 9

=== member alice phone 555

=== member alice name Al

=== member alice email al@acme.example

=== resync

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled al@acme.example drivers [] own={phone:555} Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme al@acme.example Enabled drivers [] revision=3
alice may not change name: members may not change this of themselves
writes 1

=== apply
kind: UserGroup
metadata: {name: drivers}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, groupRef: {name: drivers}, role: Driver}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled al@acme.example drivers [] own={phone:555} Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme al@acme.example Enabled drivers [] revision=4
writes 2

=== member alice phone 556

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice.smith@acme.example, profile: {displayName: Alice, phone: '1'}, groupRef: {name: drivers}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice.smith@acme.example drivers [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/drivers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice.smith@acme.example Enabled drivers [] revision=5
alice may not change phone: members may not change this of themselves
writes 1
