//! The bearer token, read anew from its file, so that a rotated one works without a restart.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::provisioning::DirectoryError;

/// How long a token is used before its file is checked again.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Token {
    file: PathBuf,
    // A sensitive header value doesn't print itself.
    read: Mutex<Option<(Instant, HeaderValue)>>,
}

impl Token {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, read: Mutex::new(None) }
    }

    pub(super) async fn header(&self) -> Result<HeaderValue, DirectoryError> {
        let mut read = self.read.lock().await;
        if let Some((_, header)) = read.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(header.clone());
        }
        let place = self.file.display();
        let text = tokio::fs::read_to_string(&self.file).await;
        let text = text.map_err(|why| {
            DirectoryError::Configuration(format!("the token can't be read from {place}: {why}"))
        })?;
        let unfit = || {
            DirectoryError::Configuration(format!(
                "{place} has no token in it: one line of printable ASCII"
            ))
        };
        let token = Some(text.trim())
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.ok_or_else(unfit)?))
            .map_err(|_| unfit())?;
        header.set_sensitive(true);
        *read = Some((Instant::now(), header.clone()));
        Ok(header)
    }
}
