An address that the schema let through and nobody can read is refused with what is wrong about it.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@-acme.example, profile: {displayName: Alice}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: "bob@[127.0.0.1]", profile: {displayName: Bob}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@-acme.example users null Ready=False EmailInvalid Stalled
  spec.email can't be used: the domain isn't a domain name such as acme.example
User/bob Pending bob@[127.0.0.1] users null Ready=False EmailInvalid Stalled
  spec.email can't be used: the domain is an IP address; a name such as acme.example is needed
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice EmailInvalid: refused: the condition Ready in the status says what is wrong and what to do
event User/bob EmailInvalid: refused: the condition Ready in the status says what is wrong and what to do
writes 7
