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
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Creating alice@acme.example users [] Create InProgress Ready=False Create Reconciling
  the Create is in force in the store, and on its way to the directories
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=1 Ready=True Reconciled -
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force of 1 member(s) (of the first: it hasn't answered yet); their Users say more; it goes on by itself, unless the directory never answers
account alice.acme alice@acme.example Enabled users [] revision=1
writes 12

=== delete User alice

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete InProgress Ready=False Delete Reconciling
  the Delete is in force in the store, and on its way to the directories
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force (it hasn't answered yet); it goes on by itself, unless the directory never answers
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 3

=== directory good

=== restart

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
User/alice Deleting alice@acme.example users null Delete InProgress Ready=False Delete Reconciling
  the Delete is in force in the store, and on its way to the directories
  DirectoriesCurrent=False DirectoryPending: the directory directory doesn't have what is in force, and may still give what was taken away (an earlier request may still be carried out there until 2026-11-02T09:01:25Z, and it is looked at again then); it goes on by itself, unless the directory never answers
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 1

=== wait 2 minutes

=== expect
OrgEmailDomain/acme acme.example users=0 Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 1
