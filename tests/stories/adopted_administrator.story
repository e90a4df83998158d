The last administrator's account isn't taken over with less than full control, nor is any part of it; once another is in control it is, and who waited for the new name goes on.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alicia}
spec: {email: alicia@acme.example, profile: {displayName: Alicia}, groupRef: {name: administrators}, permissions: {grants: [orders:read]}, deletionPolicy: Retain, chargeApproved: true}
---
kind: User
metadata: {name: dave}
spec: {email: dave@acme.example, profile: {displayName: Dave}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, permissions: {from: {name: bob, mode: Inherit}}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alicia Enabled alicia@acme.example administrators [*,orders:read] Ready=True Reconciled -
User/carol Pending carol@acme.example users null Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User bob: create it, or name another one
User/dave Enabled dave@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alicia.acme alicia@acme.example Enabled administrators ["orders:read"] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
writes 9

=== delete User alicia

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/carol Pending carol@acme.example users null Ready=False SourceNotFound Reconciling
  spec.permissions.from: there is no User bob: create it, or name another one
User/dave Enabled dave@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alicia.acme alicia@acme.example Enabled administrators ["orders:read"] revision=2
account dave.acme dave@acme.example Enabled users [] revision=1
event User/alicia AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 1

=== adopt alicia
kind: User
metadata: {name: bob}
spec: {email: alicia@acme.example, profile: {displayName: Bob}, permissions: {grants: [orders:read]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/bob Pending alicia@acme.example users null Ready=False LastAdministrator Reconciling
  spec.state and spec.groupRef aren't applied: this is the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators
User/carol Pending carol@acme.example users null Ready=False SourceNotReady Reconciling
  spec.permissions.from: the User bob has no account yet; its condition Ready says why
User/dave Enabled dave@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alicia.acme alicia@acme.example Enabled administrators ["orders:read"] revision=2
account dave.acme dave@acme.example Enabled users [] revision=1
writes 2

=== apply
kind: User
metadata: {name: erin}
spec: {email: erin@acme.example, profile: {displayName: Erin}, groupRef: {name: administrators}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=4 Ready=True Reconciled -
User/bob Enabled alicia@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [orders:read] <- bob Ready=True Reconciled -
User/dave Enabled dave@acme.example users [] Ready=True Reconciled -
User/erin Enabled erin@acme.example administrators [*] Ready=True Reconciled -
UserGroup/administrators members=1 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alicia.acme alicia@acme.example Enabled users ["orders:read"] revision=3
account carol.acme carol@acme.example Enabled users [] revision=1
account dave.acme dave@acme.example Enabled users [] revision=1
account erin.acme erin@acme.example Enabled administrators [] revision=1
event User/bob AccountAdopted
writes 7
