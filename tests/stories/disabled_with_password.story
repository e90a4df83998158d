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

=== secret alice-password
sixteen candles over a harbour

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, state: Disabled, chargeApproved: true}

=== expect

=== login alice
sixteen candles over a harbour

=== secret alice-password
eleven ravens beneath the bridge

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true}

=== expect

=== login alice
sixteen candles over a harbour

=== login alice
eleven ravens beneath the bridge

=== expect
