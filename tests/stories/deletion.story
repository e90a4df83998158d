Deletion waits for the protection, and for members and addresses that stay, and then leaves nothing behind.

=== apply
kind: OrgEmailDomain
metadata: {name: acme}
spec: {domain: acme.example}
---
kind: UserGroup
metadata: {name: dispatchers}
---
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: dispatchers}, chargeApproved: true}

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=True Reconciled -
User/alice Enabled alice@acme.example dispatchers [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
writes 9

=== delete UserGroup dispatchers

=== delete OrgEmailDomain acme

=== expect
OrgEmailDomain/acme acme.example users=1 Ready=False InUse Reconciling
  deleted, but there are still 1 address(es) in it: change them or delete their Users
User/alice Enabled alice@acme.example dispatchers [] Ready=True Reconciled -
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/dispatchers members=1 Ready=False InUse Reconciling
  deleted, but there are still 1 member(s): move them to another group or delete their Users
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
writes 2

=== delete User alice

=== expect
User/alice Enabled alice@acme.example dispatchers [] Ready=False DeletionProtected Reconciling
  deleted, but protected: set spec.deletionProtection to Disabled to delete the account for good
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
writes 3

=== apply
kind: User
metadata: {name: late}
spec: {email: late@acme.example, profile: {displayName: Late}, groupRef: {name: dispatchers}, chargeApproved: true}

=== expect
User/alice Enabled alice@acme.example dispatchers [] Ready=False DeletionProtected Reconciling
  deleted, but protected: set spec.deletionProtection to Disabled to delete the account for good
User/late Pending late@acme.example dispatchers null Ready=False GroupNotFound Reconciling
  there is no UserGroup dispatchers in force: create it, or name another one in spec.groupRef
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
writes 1

=== delete User late

=== expect
User/alice Enabled alice@acme.example dispatchers [] Ready=False DeletionProtected Reconciling
  deleted, but protected: set spec.deletionProtection to Disabled to delete the account for good
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
account alice.acme alice@acme.example Enabled dispatchers [] revision=1
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, groupRef: {name: dispatchers}, chargeApproved: true, deletionProtection: Disabled}

=== expect
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
event User/alice AccountDeleted: the account was deleted for good; cases left without an owner: 0; this month is billed in full
writes 1

=== apply
kind: User
metadata: {name: alice}
spec: {email: alice@acme.example, profile: {displayName: Alice}, chargeApproved: true}

=== expect
User/alice Pending alice@acme.example users null Ready=False DomainNotAllowed Reconciling
  the domain acme.example isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email
UserGroup/administrators members=0 Ready=True Reconciled -
UserGroup/users members=0 Ready=True Reconciled -
writes 1
