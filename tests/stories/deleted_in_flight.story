An account that is deleted while it is being created is gone from store and directory, and its User with it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}

=== directory silent

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true, deletionProtection: Disabled}

=== expect

=== delete User alice

=== expect

=== directory good

=== restart

=== expect
