After etcd was put back, a Secret has a version once more that stood for another password: it is judged all the same.

=== secret carol-password
umbrella lantern quartz pelican

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, passwordSecretRef: {name: carol-password, key: password}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=1
judged the password of carol
writes 8

=== etcd backup

=== secret carol-password
sixteen candles over a harbour

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=2
judged the password of carol
writes 1

=== etcd restore

=== secret carol-password
eleven ravens beneath the bridge

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=3
judged the password of carol
writes 2

=== login carol
eleven ravens beneath the bridge

=== login carol
sixteen candles over a harbour

=== resync

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=3
carol logs in with eleven ravens beneath the bridge
carol can't log in with sixteen candles over a harbour
judged the password of carol
writes 0
