While a transaction is in flight edits wait, and what takes rights away doesn't.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: dispatchers}
spec: {permissions: [cases:read]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: administrators}, chargeApproved: true}

=== expect

=== directory silent

=== apply
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, groupRef: {name: dispatchers}, permissions: {grants: [orders:read, orders:write]}, chargeApproved: true}

=== expect

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, chargeApproved: true}

=== expect

=== wait 21 minutes

=== expect

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, state: Disabled, chargeApproved: true}

=== expect

=== restart

=== expect

=== directory good

=== restart

=== expect

=== apply
kind: User
metadata: {name: bob}
spec: {email: robert@acme.example, profile: {displayName: Robert}, permissions: {grants: [invoices:read, orders:read]}, chargeApproved: true}

=== expect

=== resync

=== expect
