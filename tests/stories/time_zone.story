A time zone that there isn't gives no account and changes none, and the nearest name is told.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice, timeZone: America/Phoenix}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob, timeZone: America/Pheonix}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Pending bob@acme.example users null Ready=False UnsupportedValue Stalled
  spec.profile.timeZone ("America/Pheonix") isn't a name of the IANA time zone database (America/Phoenix?); nothing is made of it until then. Correct it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
event User/bob UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
writes 8

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith, timeZone: UTC+2}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False UnsupportedValue Stalled
  spec.profile.timeZone ("UTC+2") is a distance from UTC and no name of the IANA time zone database: write one with a place whose clocks go so, such as America/Phoenix: the value in force stays; everything else is in force. Correct it
User/bob Pending bob@acme.example users null Ready=False UnsupportedValue Stalled
  spec.profile.timeZone ("America/Pheonix") isn't a name of the IANA time zone database (America/Phoenix?); nothing is made of it until then. Correct it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
event User/alice UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith, timeZone: Asia/Calcutta}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob, timeZone: US/Pacific}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Enabled bob@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=2 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
account bob.acme bob@acme.example Enabled users [] revision=1
writes 4
