A password comes from a Secret: set, rotated, and neither lost nor written again without need.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true}

=== expect

=== secret alice-password
password

=== expect

=== secret alice-password
umbrella lantern quartz pelican

=== login alice
umbrella lantern quartz pelican

=== expect

=== login alice
umbrella lantern quartz pelican

=== login alice
password

=== expect

=== secret alice-password
umbrella lantern quartz pelican

=== resync

=== restart

=== expect

=== secret alice-password
sixteen candles over a harbour

=== expect

=== login alice
umbrella lantern quartz pelican

=== login alice
sixteen candles over a harbour

=== secret alice-password
too short

=== expect

=== login alice
sixteen candles over a harbour

=== secret alice-password gone

=== expect

=== login alice
sixteen candles over a harbour

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect

=== login alice
sixteen candles over a harbour

=== expect
