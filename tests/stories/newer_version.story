What a newer version wrote and this one doesn't understand is refused by itself: the rest applies, and what is taken away is gone.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: staff}
spec: {permissions: ["cases:read", "cases:write"], selfService: [Phone]}
---
kind: User
metadata: {name: bob}
spec: {email: bob@acme.example, profile: {displayName: Bob}, permissions: {grants: ["orders:read"]}, chargeApproved: true}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: staff}, permissions: {grants: [a, b], from: {name: bob, mode: Inherit}}, chargeApproved: true, deletionProtection: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=True Reconciled -
User/alice Enabled alice@acme.example staff [a,b,cases:read,cases:write,orders:read] <- bob Ready=True Reconciled -
User/bob Enabled bob@acme.example users [orders:read] heirs=1 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/staff members=1 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled staff ["a", "b"] revision=1
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
writes 12

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example, includeSubdomains: [eu, us]}
---
kind: UserGroup
metadata: {name: staff}
spec: {permissions: ["cases:read", {name: "cases:write"}], selfService: [Phone, Fax]}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: staff}, permissions: {grants: [a], from: {name: bob, mode: Mirror}}, chargeApproved: true, deletionProtection: Disabled, deletionPolicy: Archive, state: Disabled}
---
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, groupRef: {name: staff}, chargeApproved: true, state: Invited}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.includeSubdomains is ["eu","us"]: the value in force stays; everything else is in force. Correct it, or run a version of roster that knows it
User/alice Disabled alice@acme.example staff [a,cases:read] Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.permissions.from.mode is "Mirror": nothing comes through it; spec.deletionPolicy is "Archive": the User isn't deleted, and its account stays; everything else is in force. Correct it, or run a version of roster that knows it
User/bob Enabled bob@acme.example users [orders:read] Ready=True Reconciled -
User/carol Pending carol@acme.example staff null Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.state is "Invited"; nothing is made of it until then. Correct it, or run a version of roster that knows it
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/staff members=1 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.permissions[1] is {"name":"cases:write"}: it gives no permission; spec.selfService[1] is "Fax": members may change nothing by it; everything else is in force. Correct it, or run a version of roster that knows it
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled staff ["a"] revision=2
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
event OrgEmailDomain/acme UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
event UserGroup/staff UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
event User/alice UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
event User/carol UnsupportedValue: refused: the condition Ready in the status says what is wrong and what to do
writes 5

=== restart

=== delete User alice

=== apply
kind: User
metadata: {name: carol}
spec: {email: carol@acme.example, profile: {displayName: Carol}, groupRef: {name: staff}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.includeSubdomains is ["eu","us"]: the value in force stays; everything else is in force. Correct it, or run a version of roster that knows it
User/alice Disabled alice@acme.example staff [a,cases:read] Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.permissions.from.mode is "Mirror": nothing comes through it; spec.deletionPolicy is "Archive": the User isn't deleted, and its account stays; everything else is in force. Correct it, or run a version of roster that knows it
User/bob Enabled bob@acme.example users [orders:read] Ready=True Reconciled -
User/carol Enabled carol@acme.example staff [cases:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/staff members=1 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.permissions[1] is {"name":"cases:write"}: it gives no permission; spec.selfService[1] is "Fax": members may change nothing by it; everything else is in force. Correct it, or run a version of roster that knows it
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Disabled staff ["a"] revision=2
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
account carol.acme carol@acme.example Enabled staff [] revision=1
writes 5

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: staff}, permissions: {grants: [a]}, chargeApproved: true, deletionProtection: Disabled, state: Disabled}

=== expect
OrgEmailDomain/acme acme.example users=2 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.includeSubdomains is ["eu","us"]: the value in force stays; everything else is in force. Correct it, or run a version of roster that knows it
User/bob Enabled bob@acme.example users [orders:read] Ready=True Reconciled -
User/carol Enabled carol@acme.example staff [cases:read] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/staff members=1 Ready=False UnsupportedValue Stalled
  not understood by this version of roster: spec.permissions[1] is {"name":"cases:write"}: it gives no permission; spec.selfService[1] is "Fax": members may change nothing by it; everything else is in force. Correct it, or run a version of roster that knows it
UserGroup/users members=1 Ready=True Reconciled -
account bob.acme bob@acme.example Enabled users ["orders:read"] revision=1
account carol.acme carol@acme.example Enabled staff [] revision=1
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 1
