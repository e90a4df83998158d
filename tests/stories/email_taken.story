An address belongs to whoever came first; the loser is harmless and is served once it is free.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: bücher.example}
---
kind: User
metadata: {name: alice}
spec: {email: a@bücher.example, profile: {displayName: Alice}, chargeApproved: true, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme xn--bcher-kva.example users=1 Ready=True Reconciled -
User/alice Enabled a@xn--bcher-kva.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme a@xn--bcher-kva.example Enabled users [] revision=1
writes 7

=== apply
kind: User
metadata: {name: anna}
spec: {email: A@XN--BCHER-KVA.example, profile: {displayName: Anna}, chargeApproved: true, deletionProtection: Disabled}
---
kind: User
metadata: {name: anton}
spec: {email: a@BÜCHER.example, profile: {displayName: Anton}, chargeApproved: true, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme xn--bcher-kva.example users=1 Ready=True Reconciled -
User/alice Enabled a@xn--bcher-kva.example users [] Ready=True Reconciled -
User/anna Pending a@xn--bcher-kva.example users null Ready=False EmailTaken Stalled
  a@xn--bcher-kva.example belongs to the User alice: change spec.email here or there
User/anton Pending a@xn--bcher-kva.example users null Ready=False EmailTaken Stalled
  a@xn--bcher-kva.example belongs to the User alice: change spec.email here or there
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme a@xn--bcher-kva.example Enabled users [] revision=1
event User/anna EmailTaken: refused: the condition Ready in the status says what is wrong and what to do
event User/anton EmailTaken: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== delete User anton

=== expect
OrgEmailDomain/acme xn--bcher-kva.example users=1 Ready=True Reconciled -
User/alice Enabled a@xn--bcher-kva.example users [] Ready=True Reconciled -
User/anna Pending a@xn--bcher-kva.example users null Ready=False EmailTaken Stalled
  a@xn--bcher-kva.example belongs to the User alice: change spec.email here or there
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme a@xn--bcher-kva.example Enabled users [] revision=1
writes 1

=== delete User alice

=== expect
OrgEmailDomain/acme xn--bcher-kva.example users=1 Ready=True Reconciled -
User/anna Enabled a@xn--bcher-kva.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account anna.acme a@xn--bcher-kva.example Enabled users [] revision=1
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 2
