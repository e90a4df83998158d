A text that nobody sees is none: it gives no account and changes none, and what is in force from before stays without a word.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, role: Dispatcher, profile: {displayName: Alice, phone: "1"}, chargeApproved: true}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: "\u200b\u2060"}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Pending bob@acme.example users null Ready=False UnsupportedValue Stalled
  spec.profile.displayName has only characters that nobody sees: U+200B, U+2060; nothing is made of it until then. Correct it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
event User/bob UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
writes 8

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, role: " ", teams: [a, "\u3164"], profile: {displayName: "\u2800", phone: "2", address: {street: ["\u00ad"]}}, permissions: {grants: [orders:read]}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [orders:read] Ready=False UnsupportedValue Stalled
  spec.profile.displayName has only characters that nobody sees: U+2800: the value in force stays; spec.profile.address.street[0] has only characters that nobody sees: U+00AD: the value in force stays; spec.role has only characters that nobody sees: U+0020: the value in force stays; spec.teams[1] has only characters that nobody sees: U+3164: the value in force stays; everything else is in force. Correct it
User/bob Pending bob@acme.example users null Ready=False UnsupportedValue Stalled
  spec.profile.displayName has only characters that nobody sees: U+200B, U+2060; nothing is made of it until then. Correct it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users ["orders:read"] revision=2
event User/alice UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, role: Dispatcher, profile: {displayName: Alice, phone: "2"}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
User/bob Pending bob@acme.example users null Ready=False UnsupportedValue Stalled
  spec.profile.displayName has only characters that nobody sees: U+200B, U+2060; nothing is made of it until then. Correct it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
writes 1
