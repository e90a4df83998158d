Disabling goes before a new password, and a new password before enabling.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true}

=== secret alice-password
umbrella lantern quartz pelican

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
judged the password of alice
writes 8

=== secret alice-password
sixteen candles over a harbour

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, state: Disabled, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Disabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled users [] revision=3
judged the password of alice
writes 2

=== login alice
sixteen candles over a harbour

=== secret alice-password
eleven ravens beneath the bridge

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=5
alice can't log in with sixteen candles over a harbour
judged the password of alice
writes 2

=== login alice
sixteen candles over a harbour

=== login alice
eleven ravens beneath the bridge

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=5
alice can't log in with sixteen candles over a harbour
alice logs in with eleven ravens beneath the bridge
writes 0
