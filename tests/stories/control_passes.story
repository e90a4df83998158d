Whoever is kept in control is let go as soon as somebody else is in control, however that came about.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: owners}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, groupRef: {name: administrators}}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, groupRef: {name: owners}}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Enabled bob@acme.example owners [] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/owners members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=1
account bob.acme bob@acme.example Enabled owners [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
writes 11

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, groupRef: {name: administrators}, state: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example administrators [*] Ready=False LastAdministrator Reconciling
  spec.state and spec.groupRef aren't applied: this is the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators
User/bob Enabled bob@acme.example owners [] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/owners members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled administrators [] revision=2
account bob.acme bob@acme.example Enabled owners [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
writes 1

=== apply
kind: UserGroup
metadata: {name: owners}
spec: {fullControl: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Disabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Enabled bob@acme.example owners [*] Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/owners members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled administrators [] revision=3
account bob.acme bob@acme.example Enabled owners [] revision=1
account carol.acme carol@acme.example Enabled users [] revision=1
writes 3

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true, groupRef: {name: owners}, state: Disabled}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, chargeApproved: true, groupRef: {name: administrators}}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Disabled alice@acme.example administrators [*] Ready=True Reconciled -
User/bob Disabled bob@acme.example owners [*] Ready=True Reconciled -
User/carol Enabled carol@acme.example administrators [*] Ready=True Reconciled -
UserGroup/administrators members=2 Ready=True Reconciled -
UserGroup/owners members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled administrators [] revision=3
account bob.acme bob@acme.example Disabled owners [] revision=3
account carol.acme carol@acme.example Enabled administrators [] revision=2
writes 4
