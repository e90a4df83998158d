A Secret that is put back to an older version is a changed Secret: the older password applies again.

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

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=3
judged the password of carol
writes 2

=== login carol
umbrella lantern quartz pelican

=== login carol
sixteen candles over a harbour

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/carol Enabled carol@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account carol.acme carol@acme.example Enabled users [] revision=3
carol logs in with umbrella lantern quartz pelican
carol can't log in with sixteen candles over a harbour
writes 0
