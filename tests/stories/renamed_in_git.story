A User that gets another name leaves its account behind, and is told how to take it over; whoever is there is told of otherwise.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: ann}
spec: {email: ann@acme.example, profile: {displayName: Ann}, deletionPolicy: Retain, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=1
writes 7

=== apply
kind: User
metadata: {name: ann-smith}
spec: {email: ann@acme.example, profile: {displayName: Ann}, chargeApproved: true}
---
kind: User
metadata: {name: other}
spec: {username: ann, email: other@acme.example, profile: {displayName: Other}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [] Ready=True Reconciled -
User/ann-smith Pending ann@acme.example users null Ready=False EmailTaken Stalled
  ann@acme.example belongs to the User ann: change spec.email here or there
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the User ann: delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=1
event User/ann-smith EmailTaken: refused: the condition Ready in the status says what is wrong and what to do
event User/other LoginTaken: refused: the condition Ready in the status says what is wrong and what to do
writes 2

=== delete User ann

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann-smith Pending ann@acme.example users null Ready=False EmailTaken Stalled
  ann@acme.example belongs to the account <id of ann.acme>, whose User ann isn't there any more. To take the account over, delete this User and name it ann again, or create it with spec.adopt: <id of ann.acme>, which needs the verb adopt on accounts.roster.rs/<id of ann.acme>; otherwise change spec.email
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the account <id of ann.acme>, whose User ann isn't there any more. To take the account over, delete this User and name it ann again, or create it with spec.adopt: <id of ann.acme>, which needs the verb adopt on accounts.roster.rs/<id of ann.acme>; otherwise delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=2
event User/ann AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 3

=== apply
kind: User
metadata: {name: ann}
spec: {email: ann@acme.example, profile: {displayName: Ann}, deletionPolicy: Retain, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann Enabled ann@acme.example users [] Ready=True Reconciled -
User/ann-smith Pending ann@acme.example users null Ready=False EmailTaken Stalled
  ann@acme.example belongs to the User ann: change spec.email here or there
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the User ann: delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=3
event User/ann AccountTakenBack
writes 4

=== delete User ann

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann-smith Pending ann@acme.example users null Ready=False EmailTaken Stalled
  ann@acme.example belongs to the account <id of ann.acme>, whose User ann isn't there any more. To take the account over, delete this User and name it ann again, or create it with spec.adopt: <id of ann.acme>, which needs the verb adopt on accounts.roster.rs/<id of ann.acme>; otherwise change spec.email
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the account <id of ann.acme>, whose User ann isn't there any more. To take the account over, delete this User and name it ann again, or create it with spec.adopt: <id of ann.acme>, which needs the verb adopt on accounts.roster.rs/<id of ann.acme>; otherwise delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=4
event User/ann AccountRetained: the account stays, without a User, as deletionPolicy Retain asks; it is billed as before
writes 3

=== delete User ann-smith

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the account <id of ann.acme>, whose User ann isn't there any more. To take the account over, delete this User and name it ann again, or create it with spec.adopt: <id of ann.acme>, which needs the verb adopt on accounts.roster.rs/<id of ann.acme>; otherwise delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=4
writes 1

=== adopt ann
kind: User
metadata: {name: ann-smith}
spec: {email: ann@acme.example, profile: {displayName: Ann}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/ann-smith Enabled ann@acme.example users [] Ready=True Reconciled -
User/other Pending other@acme.example users null Ready=False LoginTaken Stalled
  the login name ann.acme belongs to the User ann-smith: delete this User and create it with another spec.username
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account ann.acme ann@acme.example Enabled users [] revision=5
event User/ann-smith AccountAdopted
writes 3
