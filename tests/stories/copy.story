A copy has the profile, the role and the teams of its source once, and a placeholder for an address.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice, phone: '1'}, role: Driver, teams: [night], permissions: {grants: [a]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
writes 7

=== apply
kind: User
metadata: {name: bob}
spec: {copyOf: {name: alice}, chargeApproved: true}
---
kind: User
metadata: {name: carol}
spec: {copyOf: {name: bob}, profile: {displayName: Carol}, chargeApproved: true}
---
kind: User
metadata: {name: dave}
spec: {copyOf: {name: nobody}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [a] Ready=True Reconciled -
User/bob Enabled alice@acme.example (Copy 1) users [] copied from alice at 1 Ready=True Reconciled -
User/carol Enabled alice@acme.example (Copy 2) users [] copied from bob at 1 Ready=True Reconciled -
User/dave Pending - users null Ready=False SourceNotFound Reconciling
  spec.copyOf: there is no User nobody: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["a"] revision=1
account bob.acme alice@acme.example (Copy 1) Enabled users [] revision=1
account carol.acme alice@acme.example (Copy 2) Enabled users [] revision=1
writes 5

=== apply
kind: User
metadata: {name: alice}
spec: {email: al@acme.example, profile: {displayName: Al}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {copyOf: {name: alice}, email: bob@acme.example, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/alice Enabled al@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] copied from alice at 1 Ready=True Reconciled -
User/carol Enabled alice@acme.example (Copy 2) users [] copied from bob at 1 Ready=True Reconciled -
User/dave Pending - users null Ready=False SourceNotFound Reconciling
  spec.copyOf: there is no User nobody: create it, or name another one
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account alice.acme al@acme.example Enabled users [] revision=2
account carol.acme alice@acme.example (Copy 2) Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=2
writes 2

=== apply
kind: User
metadata: {name: erin}
spec: {copyOf: {name: carol}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=4 Ready=True Reconciled -
User/alice Enabled al@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] copied from alice at 1 Ready=True Reconciled -
User/carol Enabled alice@acme.example (Copy 2) users [] copied from bob at 1 Ready=True Reconciled -
User/dave Pending - users null Ready=False SourceNotFound Reconciling
  spec.copyOf: there is no User nobody: create it, or name another one
User/erin Enabled alice@acme.example (Copy 1) users [] copied from carol at 1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=4 Ready=True Reconciled -
account alice.acme al@acme.example Enabled users [] revision=2
account erin.acme alice@acme.example (Copy 1) Enabled users [] revision=1
account carol.acme alice@acme.example (Copy 2) Enabled users [] revision=1
account bob.acme bob@acme.example Enabled users [] revision=2
writes 3
