A password comes from a Secret: set, rotated, and neither lost nor written again without need.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, passwordSecretRef: {name: alice-password, key: password}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False PasswordSecretNotFound Reconciling
  there is no Secret alice-password of type roster.rs/password: create it, or name another one in spec.passwordSecretRef; a Secret's type can't be changed, so one of another type has to be deleted and created anew (kubectl get secret alice-password shows whether one is there, and its type: the operator is shown no other Secrets)
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 6

=== secret alice-password
password

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Pending alice@acme.example users null Ready=False PasswordRejected Stalled
  the password in the Secret alice-password must have at least 15 characters, counted after Unicode normalization (NFKC); and must be hard to guess, also for somebody who knows the person's names: a zxcvbn score of at least 3 of 4: put another one there; roster password-policy says what one must be
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
judged the password of alice
event User/alice PasswordRejected: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== secret alice-password
umbrella lantern quartz pelican

=== login alice
umbrella lantern quartz pelican

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
alice can't log in with umbrella lantern quartz pelican
judged the password of alice
writes 3

=== login alice
umbrella lantern quartz pelican

=== login alice
password

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
alice logs in with umbrella lantern quartz pelican
alice can't log in with password
writes 0

=== secret alice-password
umbrella lantern quartz pelican

=== resync

=== restart

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=1
judged the password of alice
judged the password of alice
writes 0

=== secret alice-password
sixteen candles over a harbour

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
judged the password of alice
writes 1

=== login alice
umbrella lantern quartz pelican

=== login alice
sixteen candles over a harbour

=== secret alice-password
too short

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False PasswordRejected Stalled
  the password in the Secret alice-password must have at least 15 characters, counted after Unicode normalization (NFKC); and must be hard to guess, also for somebody who knows the person's names: a zxcvbn score of at least 3 of 4: put another one there; roster password-policy says what one must be. The password that was set before stays in force until then
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
alice can't log in with umbrella lantern quartz pelican
alice logs in with sixteen candles over a harbour
judged the password of alice
event User/alice PasswordRejected: refused: the condition Ready in the status says what is wrong and what to do
writes 1

=== login alice
sixteen candles over a harbour

=== secret alice-password gone

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=False PasswordSecretNotFound Reconciling
  there is no Secret alice-password of type roster.rs/password: create it, or name another one in spec.passwordSecretRef; a Secret's type can't be changed, so one of another type has to be deleted and created anew (kubectl get secret alice-password shows whether one is there, and its type: the operator is shown no other Secrets). The password that was set before stays in force until then
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=2
alice logs in with sixteen candles over a harbour
writes 1

=== login alice
sixteen candles over a harbour

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
alice logs in with sixteen candles over a harbour
writes 1

=== login alice
sixteen candles over a harbour

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example users [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled users [] revision=3
alice logs in with sixteen candles over a harbour
writes 0
