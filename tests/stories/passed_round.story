Addresses that are passed round, and a chain that ends at a free one, are one set; a chain that somebody breaks is not.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: a}
spec: {email: a@acme.example, profile: {displayName: A}, chargeApproved: true}
---
kind: User
metadata: {name: b}
spec: {email: b@acme.example, profile: {displayName: B}, chargeApproved: true}
---
kind: User
metadata: {name: c}
spec: {email: c@acme.example, profile: {displayName: C}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/a Enabled a@acme.example users [] Ready=True Reconciled -
User/b Enabled b@acme.example users [] Ready=True Reconciled -
User/c Enabled c@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account a.acme a@acme.example Enabled users [] revision=1
account b.acme b@acme.example Enabled users [] revision=1
account c.acme c@acme.example Enabled users [] revision=1
writes 9

=== apply
kind: User
metadata: {name: a}
spec: {email: b@acme.example, profile: {displayName: A}, chargeApproved: true}
---
kind: User
metadata: {name: b}
spec: {email: c@acme.example, profile: {displayName: B}, chargeApproved: true}
---
kind: User
metadata: {name: c}
spec: {email: a@acme.example, profile: {displayName: C}, chargeApproved: true}
---
kind: User
metadata: {name: d}
spec: {email: c@acme.example, profile: {displayName: D}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/a Enabled b@acme.example users [] Ready=True Reconciled -
User/b Enabled c@acme.example users [] Ready=True Reconciled -
User/c Enabled a@acme.example users [] Ready=True Reconciled -
User/d Pending c@acme.example users null Ready=False EmailTaken Stalled
  c@acme.example belongs to the User b: change spec.email here or there
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account c.acme a@acme.example Enabled users [] revision=3
account a.acme b@acme.example Enabled users [] revision=2
account b.acme c@acme.example Enabled users [] revision=3
event User/d EmailTaken: refused: the condition Ready in the status says what is wrong and what to do
writes 4

=== apply
kind: User
metadata: {name: a}
spec: {email: c@acme.example, profile: {displayName: A}, chargeApproved: true}
---
kind: User
metadata: {name: b, annotations: {roster.rs/paused: "true"}}
spec: {email: free@acme.example, profile: {displayName: B}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/a Enabled b@acme.example users [] Ready=False EmailTaken Stalled
  c@acme.example belongs to the User b: change spec.email here or there
User/b Enabled c@acme.example users [] Ready=False Paused Reconciling
  paused: remove the annotation roster.rs/paused to go on
User/c Enabled a@acme.example users [] Ready=True Reconciled -
User/d Pending c@acme.example users null Ready=False EmailTaken Stalled
  c@acme.example belongs to the User b: change spec.email here or there
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account c.acme a@acme.example Enabled users [] revision=3
account a.acme b@acme.example Enabled users [] revision=3
account b.acme c@acme.example Enabled users [] revision=3
event User/a EmailTaken: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== apply
kind: User
metadata: {name: b}
spec: {email: free@acme.example, profile: {displayName: B}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=3 Ready=True Reconciled -
User/a Enabled c@acme.example users [] Ready=True Reconciled -
User/b Enabled free@acme.example users [] Ready=True Reconciled -
User/c Enabled a@acme.example users [] Ready=True Reconciled -
User/d Pending c@acme.example users null Ready=False EmailTaken Stalled
  c@acme.example belongs to the User a: change spec.email here or there
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=3 Ready=True Reconciled -
account c.acme a@acme.example Enabled users [] revision=3
account a.acme c@acme.example Enabled users [] revision=4
account b.acme free@acme.example Enabled users [] revision=4
writes 3
