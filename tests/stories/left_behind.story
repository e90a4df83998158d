An account that was left behind is taken back by who asks for its group, whole or not at all; nobody else gets in with it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: ceo}
spec: {email: ceo@acme.example, profile: {displayName: Carla}, groupRef: {name: administrators}, passwordSecretRef: {name: ceo, key: password}, deletionPolicy: Retain, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== secret ceo
nine wet lanterns over quartz

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Enabled ceo@acme.example administrators [*] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@acme.example Enabled administrators [] revision=1
judged the password of ceo
writes 10

=== delete User ceo

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@acme.example Enabled administrators [] revision=2
event User/ceo AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== secret mallory
seven dry harbours by starlight

=== apply
kind: User
metadata: {name: ceo}
spec: {email: mallory@acme.example, profile: {displayName: Mallory}, groupRef: {name: contractors}, permissions: {from: {name: bob, mode: Inherit}}, passwordSecretRef: {name: mallory, key: password}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Pending mallory@acme.example contractors null Ready=False NotAdoptable Stalled
  the account <id of ceo.acme> of this name was left behind in the group administrators, so only a User that asks for that group takes it back: set spec.groupRef to administrators and change it afterwards; or delete this User and create it with spec.adopt <id of ceo.acme>, which needs the verb adopt on accounts.roster.rs/<id of ceo.acme>
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@acme.example Enabled administrators [] revision=2
judged the password of ceo
event User/ceo NotAdoptable: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== login ceo
seven dry harbours by starlight

=== apply
kind: UserGroup
metadata: {name: contractors}
spec: {permissions: [gates:open]}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Pending mallory@acme.example contractors null Ready=False NotAdoptable Stalled
  the account <id of ceo.acme> of this name was left behind in the group administrators, so only a User that asks for that group takes it back: set spec.groupRef to administrators and change it afterwards; or delete this User and create it with spec.adopt <id of ceo.acme>, which needs the verb adopt on accounts.roster.rs/<id of ceo.acme>
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/contractors members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@acme.example Enabled administrators [] revision=2
ceo can't log in with seven dry harbours by starlight
writes 1

=== apply
kind: User
metadata: {name: ceo}
spec: {email: ceo@new.example, profile: {displayName: Carla}, groupRef: {name: administrators}, permissions: {grants: [orders:read]}, passwordSecretRef: {name: mallory, key: password}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Pending ceo@new.example administrators null Ready=False DomainNotAllowed Reconciling
  the domain new.example isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/contractors members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@acme.example Enabled administrators [] revision=2
judged the password of ceo
writes 1

=== login ceo
seven dry harbours by starlight

=== login ceo
nine wet lanterns over quartz

=== apply
kind: OrgEmailDomain
metadata: {name: new}
spec: {domain: new.example}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
OrgEmailDomain/new new.example users=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Enabled ceo@new.example administrators [*,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/contractors members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@new.example Enabled administrators ["orders:read"] revision=3
ceo can't log in with seven dry harbours by starlight
ceo logs in with nine wet lanterns over quartz
event User/ceo AccountTakenBack
writes 5

=== login ceo
seven dry harbours by starlight

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
OrgEmailDomain/new new.example users=1 Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
User/ceo Enabled ceo@new.example administrators [*,orders:read] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/contractors members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users [] revision=1
account ceo.acme ceo@new.example Enabled administrators ["orders:read"] revision=3
ceo logs in with seven dry harbours by starlight
writes 0
