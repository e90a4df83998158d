//! What a server's answers mean, by their result codes.

use std::panic::AssertUnwindSafe;

use ldap3::LdapResult;
use ldap3::controls::{Control, ControlType, PostReadResp};

use super::super::{DirectoryError, truncate};
use super::mapping::UUID;

pub(super) const REFERS: &str =
    "it refers to another server, which roster doesn't follow: give that one's address";

// The result codes of RFC 4511, section 4.1.9, and RFC 4528 that roster handles by themselves.
pub(super) const SUCCESS: u32 = 0;
pub(super) const INSUFFICIENT_ACCESS: u32 = 50;
pub(super) const COMPARE_FALSE: u32 = 5;
pub(super) const COMPARE_TRUE: u32 = 6;
pub(super) const REFERRAL: u32 = 10;
pub(super) const UNWILLING: u32 = 53;
pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
pub(super) const NO_SUCH_ATTRIBUTE: u32 = 16;
pub(super) const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
pub(super) const NO_SUCH_OBJECT: u32 = 32;
pub(super) const OBJECT_CLASS_VIOLATION: u32 = 65;
pub(super) const ENTRY_ALREADY_EXISTS: u32 = 68;
pub(super) const ASSERTION_FAILED: u32 = 122;

/// Returns the entryUUID in an answer's control.
pub(super) fn uuid_of(answer: &LdapResult) -> Option<String> {
    let is_read = |control: &&Control| matches!(control.0, Some(ControlType::PostReadResp));
    let Control(_, raw) = answer.ctrls.iter().find(is_read)?;
    // The library panics over what isn't LDAP.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| raw.parse::<PostReadResp>())).ok()?;
    let values =
        |(name, values): (String, Vec<String>)| name.eq_ignore_ascii_case(UUID).then_some(values);
    read.attrs.into_iter().find_map(values)?.into_iter().next()
}

pub(super) fn with_words(what: &str, answer: &LdapResult) -> String {
    if answer.text.is_empty() {
        what.to_owned()
    } else {
        truncate(&format!("{what}: {}", answer.text))
    }
}

/// Returns what an answer to an operation on one entry or group means that isn't a success (RFC
/// 4511, appendix A.2).
///
/// Most codes are about that entry. If it is open whether the server as a whole fails (busy,
/// unavailable, a time limit, an internal error, a referral), it is a failure, which counts as the
/// directory's once a second entry meets it. A server may be unwilling (53) because it is
/// read-only, or because of one entry: that counts as about the entry, since a wrong guess then
/// costs further tries, and otherwise all would wait for one entry. What every entry needs (the
/// bind, TLS, the assertion control) is about the directory at once.
///
/// What is or may be about the directory as a whole is logged, so it has none of the server's own
/// words: they may name a person.
pub(super) fn failure(answer: &LdapResult) -> DirectoryError {
    let said = |what: &str| with_words(what, answer);
    match answer.rc {
        1 | 2 => DirectoryError::Protocol(said("it doesn't understand what roster asked")),
        3 => DirectoryError::Failed(
            "it takes too long (timeLimitExceeded); an index may be missing".to_owned(),
        ),
        7 => DirectoryError::Unauthorized(
            "it takes no simple bind (authMethodNotSupported)".to_owned(),
        ),
        8 => DirectoryError::Unauthorized(
            "it asks for a stronger bind (strongerAuthRequired)".to_owned(),
        ),
        REFERRAL => DirectoryError::Failed(REFERS.to_owned()),
        11 => DirectoryError::Failed(
            "raise the bind-dn's limits, or add an index (adminLimitExceeded)".to_owned(),
        ),
        12 => DirectoryError::Unreachable(
            "it lacks the assertion control (RFC 4528), which roster needs".to_owned(),
        ),
        13 => DirectoryError::Unauthorized("it asks for TLS (confidentialityRequired)".to_owned()),
        48 => DirectoryError::Unauthorized(
            "it takes no such bind (inappropriateAuthentication)".to_owned(),
        ),
        49 => DirectoryError::Unauthorized(
            "the DN or the password is wrong (invalidCredentials)".to_owned(),
        ),
        INSUFFICIENT_ACCESS => {
            DirectoryError::refused(&said("the bind-dn may not do this (insufficientAccessRights)"))
        }
        51 => DirectoryError::Failed("it is busy".to_owned()),
        52 => DirectoryError::Failed("it says that it is unavailable".to_owned()),
        UNWILLING => DirectoryError::refused(&said(
            "it is unwilling to (unwillingToPerform); maybe it only reads",
        )),
        80 => DirectoryError::Failed("result code 80 (other)".to_owned()),
        19 => DirectoryError::refused(&said("constraintViolation")),
        21 => DirectoryError::refused(&said("invalidAttributeSyntax")),
        65 => DirectoryError::refused(&said("objectClassViolation")),
        66 => DirectoryError::refused(&said("there are entries below it (notAllowedOnNonLeaf)")),
        71 => {
            DirectoryError::refused(&said("it would come to another server (affectsMultipleDSAs)"))
        }
        code => DirectoryError::refused(&said(&format!("result code {code}"))),
    }
}

/// Returns what an answer means to a request that every entry needs: the bind, and searches of
/// `ou=people` and `ou=groups`.
pub(super) fn failure_of_all(answer: &LdapResult) -> DirectoryError {
    match answer.rc {
        51 => DirectoryError::RateLimited { after: None, may_be_done: false },
        52 => DirectoryError::Unreachable("it says that it is unavailable".to_owned()),
        REFERRAL => DirectoryError::Unreachable(REFERS.to_owned()),
        34 => DirectoryError::Configuration(
            "the base or the bind-dn in the address of the directory isn't a DN".to_owned(),
        ),
        INSUFFICIENT_ACCESS => DirectoryError::Unauthorized(
            "the bind-dn may not do this (insufficientAccessRights)".to_owned(),
        ),
        _ => failure(answer),
    }
}

/// The server's answer to the change of an entry that was just read.
pub(super) trait LdapOutcome {
    /// Returns success, or how the entry changed meanwhile.
    fn success_of_entry(&self) -> Result<(), DirectoryError>;
}

impl LdapOutcome for LdapResult {
    fn success_of_entry(&self) -> Result<(), DirectoryError> {
        match self.rc {
            SUCCESS => Ok(()),
            NO_SUCH_OBJECT | ASSERTION_FAILED | ENTRY_ALREADY_EXISTS => {
                Err(DirectoryError::Conflict)
            }
            _ => Err(failure(self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_entry_meets_is_its_own_until_others_meet_it_too() {
        let answer = |rc| LdapResult {
            rc,
            matched: String::new(),
            text: String::new(),
            refs: vec![],
            ctrls: vec![],
        };
        let of_entry = |rc| failure(&answer(rc));
        for rc in [3, 10, 11, 51, 52, 80] {
            assert!(matches!(of_entry(rc), DirectoryError::Failed(_)), "{rc}");
        }
        for rc in [19, 21, 34, 50, 53, 65, 66, 71] {
            assert!(matches!(of_entry(rc), DirectoryError::Refused(_)), "{rc}");
        }
        for rc in [7, 8, 12, 13, 48, 49] {
            assert!(of_entry(rc).is_about_directory(), "{rc}");
        }
        for rc in [10, 34, 50, 51, 52] {
            assert!(failure_of_all(&answer(rc)).is_about_directory(), "{rc}");
        }
    }

    #[test]
    fn what_is_about_the_directory_as_a_whole_has_none_of_the_servers_words() {
        for rc in 1..100 {
            let text = "no access to uid=alice.acme,ou=people".to_owned();
            let answer =
                LdapResult { rc, matched: String::new(), text, refs: vec![], ctrls: vec![] };
            let problem = failure(&answer);
            // It is logged, unlike a refusal of one entry.
            for problem in
                [problem, failure_of_all(&answer), answer.success_of_entry().unwrap_err()]
            {
                let is_logged =
                    problem.is_about_directory() || matches!(problem, DirectoryError::Failed(_));
                assert!(!is_logged || !problem.to_string().contains("alice"), "{problem}");
            }
        }
    }
}
