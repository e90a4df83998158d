A domain is listed once per organization, and never a public suffix.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: OrgEmailDomain
metadata: {name: again}
spec: {domain: ACME.Example}
---
kind: OrgEmailDomain
metadata: {name: suffix}
spec: {domain: co.uk}
---
kind: OrgEmailDomain
metadata: {name: address}
spec: {domain: 127.0.0.1}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
OrgEmailDomain/address - users=0 Ready=False DomainInvalid Stalled
  spec.domain can't be used: the domain is an IP address; a name such as acme.example is needed
OrgEmailDomain/again acme.example users=0 Ready=False DomainTaken Stalled
  acme.example is already listed by the OrgEmailDomain acme: delete one of the two, or change spec.domain
OrgEmailDomain/suffix co.uk users=0 Ready=False DomainInvalid Stalled
  spec.domain can't be used: anybody can register a name below co.uk (it is a public suffix); list the organization's own domain
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event OrgEmailDomain/suffix DomainInvalid: refused: the condition Ready in the status says what is wrong and what to do
event OrgEmailDomain/address DomainInvalid: refused: the condition Ready in the status says what is wrong and what to do
event OrgEmailDomain/again DomainTaken: refused: the condition Ready in the status says what is wrong and what to do
writes 8

=== delete OrgEmailDomain acme

=== expect
OrgEmailDomain/address - users=0 Ready=False DomainInvalid Stalled
  spec.domain can't be used: the domain is an IP address; a name such as acme.example is needed
OrgEmailDomain/again acme.example users=0 Ready=True Reconciled -
OrgEmailDomain/suffix co.uk users=0 Ready=False DomainInvalid Stalled
  spec.domain can't be used: anybody can register a name below co.uk (it is a public suffix); list the organization's own domain
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 2
