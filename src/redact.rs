//! What logs, statuses and the command line may say of an error: never what an API server, a
//! database or a plugin answered, which may quote a Secret or a person's name.

use std::error::Error;
use std::fmt::Write;

use kube::core::Status;

/// Returns an error with its causes, on one line. Of an answer of the API server that can't be read
/// it quotes nothing.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(said) = unquoted(error) {
        return said;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(said) = unquoted(error) {
            let _ = write!(text, ": {said}");
            break;
        }
        // Some errors say their cause themselves.
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

/// Returns what may be said of an error that quotes a server's answer; nothing where it quotes none.
fn unquoted(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() {
        let code = error.code().unwrap_or_default();
        // What a trigger says, a value of a wrong form and a broken constraint quote what stands in
        // a row.
        let quotes =
            code.len() == 5 && ["P0", "22", "23"].iter().any(|class| code.starts_with(class));
        let constraint = error.constraint().map(|name| format!(" ({name})")).unwrap_or_default();
        return quotes.then(|| format!("the database refused it with {code}{constraint}"));
    }
    let error = error.downcast_ref::<kube::Error>()?;
    match error {
        // The client's own text of it ends in a debug dump of the whole answer.
        kube::Error::Api(status) if is_the_servers(status) => {
            Some(format!("{} {}: {}", status.code, status.reason, status.message))
        }
        kube::Error::Api(_)
        | kube::Error::SerdeError(_)
        | kube::Error::FromUtf8(_)
        | kube::Error::Auth(_) => Some(redact(error)),
        _ => None,
    }
}

/// Returns what the log may say of an error: the API server's own words name objects and values,
/// and what came instead of an answer may be anything, a Secret too.
#[must_use]
pub fn redact(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if is_the_servers(status) => {
            format!("{} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.code.to_string(),
        kube::Error::SerdeError(error) => unreadable_json(error),
        kube::Error::FromUtf8(_) => "an answer that isn't UTF-8".to_owned(),
        // A plugin's output may be a token.
        kube::Error::Auth(_) => "the credentials for the API server can't be used".to_owned(),
        other => chain(other),
    }
}

/// Returns where an answer can't be read, without a word of what stands there.
#[must_use]
pub fn unreadable_json(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => {
            "an answer that is cut short"
        }
        serde_json::error::Category::Syntax => "an answer that isn't JSON",
        serde_json::error::Category::Data => "an answer of another form than was asked for",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Whether a refusal is an API server's own. The client puts the text of any other answer, such as
/// a proxy's page, into one.
#[must_use]
pub fn is_the_servers(status: &Status) -> bool {
    STATUS_REASONS.contains(&status.reason.as_str())
}

/// The reasons that an API server gives (`metav1.StatusReason`).
const STATUS_REASONS: &[&str] = &[
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServerTimeout",
    "ServiceUnavailable",
    "StorageReadError",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &kube::Error, said: &str) {
        assert_eq!(redact(error), said);
        // Also where it is the cause of another error, or is printed by a subcommand.
        assert!(!chain(error).contains("hunter2"), "{}", chain(error));
        let boxed: Box<dyn std::error::Error + Send + Sync> =
            Box::new(std::io::Error::other(redact(error)));
        assert!(!chain(boxed.as_ref()).contains("hunter2"));
    }

    #[test]
    fn what_is_logged_of_an_answer_that_cannot_be_read_has_none_of_its_text() {
        let data = serde_json::from_str::<u8>(r#""hunter2""#).unwrap_err();
        check(
            &kube::Error::SerdeError(data),
            "an answer of another form than was asked for (line 1, column 9)",
        );
        let syntax = serde_json::from_str::<serde_json::Value>("<pre>hunter2</pre>").unwrap_err();
        check(&kube::Error::SerdeError(syntax), "an answer that isn't JSON (line 1, column 1)");
        let cut =
            serde_json::from_str::<serde_json::Value>(r#"{"password": "hunter2"#).unwrap_err();
        check(&kube::Error::SerdeError(cut), "an answer that is cut short (line 1, column 21)");
        let text = String::from_utf8(b"hunter2\xff".to_vec()).unwrap_err();
        check(&kube::Error::FromUtf8(text), "an answer that isn't UTF-8");
    }

    #[test]
    fn what_is_logged_of_a_refusal_has_none_of_its_words() {
        let page =
            Status::failure("<pre>hunter2</pre>", "Failed to parse error data").with_code(502);
        check(&kube::Error::Api(page.boxed()), "502");
        let reason = Status::failure("", "hunter2").with_code(500);
        check(&kube::Error::Api(reason.boxed()), "500");
        let forbidden = Status::failure("alice may not", "Forbidden").with_code(403);
        let forbidden = kube::Error::Api(forbidden.boxed());
        assert_eq!(redact(&forbidden), "403 Forbidden");
        assert_eq!(chain(&forbidden), "403 Forbidden: alice may not");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("case 'Alice Smith' is locked")]
    struct OfDatabase(&'static str);

    impl sqlx::error::DatabaseError for OfDatabase {
        fn message(&self) -> &str {
            "case 'Alice Smith' is locked"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn what_a_database_quotes_of_a_row_is_not_told() {
        let told = |code| {
            chain(&crate::store::StoreError::Database(sqlx::Error::Database(Box::new(OfDatabase(
                code,
            )))))
        };
        for code in ["P0001", "22P02", "23505"] {
            assert!(told(code).contains(code) && !told(code).contains("Alice"), "{}", told(code));
        }
        // No room on the disk, for one.
        assert!(told("53100").contains("is locked"));
    }
}
