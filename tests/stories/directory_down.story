A directory that is down holds up what it has to confirm, and nothing else.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true, deletionProtection: Disabled}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, chargeApproved: true}

=== secret alice-password
umbrella lantern quartz pelican

=== directory good

=== expect

=== directory down

=== secret alice-password
sixteen candles over a harbour

=== expect

=== login alice
sixteen candles over a harbour

=== secret alice-password
eleven ravens beneath the bridge

=== expect

=== wait 25 minutes

=== expect

=== delete User alice

=== expect

=== restart

=== expect

=== directory good

=== wait 2 minutes

=== expect
