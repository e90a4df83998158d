A User that is deleted with the policy Retain leaves its account behind, whatever the protection; the same name or spec.adopt takes it back.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, permissions: {grants: [orders:read]}, deletionPolicy: Retain, chargeApproved: true}

=== expect

=== delete User alice

=== expect

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith}}

=== expect

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice Smith}, deletionPolicy: Retain, chargeApproved: true}

=== expect

=== delete User alice

=== expect

=== adopt alice
kind: User
metadata: {name: alison}
spec: {email: alison@acme.example, profile: {displayName: Alison Smith}, chargeApproved: true}

=== expect

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, adopt: 00000000-0000-7000-8000-000000000000, chargeApproved: true}

=== expect
