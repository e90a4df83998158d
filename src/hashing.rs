//! Hashes of passwords: Argon2id with a salt from the operating system.
//!
//! Whether a login exists and has a password can't be told from the time that a try takes: every
//! try is one verification, of a decoy where there is no hash that could be verified.

use argon2::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use argon2::password_hash::{self, CustomizedPasswordHasher, PasswordHasher};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};

use crate::domain::password::{Password, PasswordCandidate, PasswordHash};

/// What the hash of a password costs, who tries one as much as who guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The memory, in KiB.
    pub memory_kib: u32,
    /// How often the memory is gone over.
    pub passes: u32,
    /// How many could work on it at once.
    pub lanes: u32,
}

/// The least that the OWASP Password Storage Cheat Sheet, section "Argon2id", asks for.
impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// A hash can't be made or verified now.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The cost isn't one that Argon2 knows.
    #[error("Argon2id has no such cost")]
    Cost,
    /// There is no randomness, or not enough memory.
    #[error("the system lacks the randomness or the memory to hash a password")]
    System,
}

/// Hashes and verifies at one cost.
pub struct Hashing {
    argon2: Argon2<'static>,
    decoy: Phc,
}

/// A stored hash may cost this many times the memory and the passes of one made now; no more is
/// spent on it.
const MAX_TIMES: u32 = 16;

const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

impl Hashing {
    /// Prepares for one cost.
    ///
    /// # Errors
    /// When Argon2 knows no such cost, or the system has no randomness.
    pub fn new(cost: Cost) -> Result<Self, HashingError> {
        let Cost { memory_kib, passes, lanes } = cost;
        let params = Params::new(memory_kib, passes, lanes, Some(OUTPUT_BYTES))
            .map_err(|_| HashingError::Cost)?;
        let decoy = decoy(&params).ok_or(HashingError::System)?;
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), decoy })
    }

    /// Returns the hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// When the system lacks randomness or memory.
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        self.rehash(password.candidate())
    }

    /// Returns the hash at today's cost of what was verified against an outdated one.
    ///
    /// # Errors
    /// When the system lacks randomness or memory.
    pub fn rehash(&self, verified: &PasswordCandidate) -> Result<PasswordHash, HashingError> {
        let salt: [u8; SALT_BYTES] =
            password_hash::try_generate_salt().map_err(|_| HashingError::System)?;
        let hash = self
            .argon2
            .hash_password_with_salt(verified.as_bytes(), &salt)
            .map_err(|_| HashingError::System)?;
        Ok(PasswordHash::from_stored(hash.to_string()))
    }

    /// Whether a hash is of this password.
    ///
    /// Nothing matches a hash that can't be read or would take far more than one made now; finding
    /// that out takes as long as verifying one made now.
    ///
    /// # Errors
    /// When the system lacks memory.
    pub fn verify(
        &self,
        candidate: &PasswordCandidate,
        hash: &PasswordHash,
    ) -> Result<bool, HashingError> {
        match self.readable(hash) {
            Some((hash, params)) => self.matches(candidate.as_bytes(), &hash, params),
            None => self.refuse(Some(candidate)),
        }
    }

    /// Takes as long as verifying a hash made now, and says no: for a login that has none, or a
    /// text that is nobody's password.
    ///
    /// # Errors
    /// When the system lacks memory.
    pub fn refuse(&self, candidate: Option<&PasswordCandidate>) -> Result<bool, HashingError> {
        let bytes = candidate.map_or(&b""[..], PasswordCandidate::as_bytes);
        self.matches(bytes, &self.decoy, self.argon2.params().clone()).map(|_| false)
    }

    /// Whether a hash was made by another algorithm, or at less than today's cost in any respect.
    #[must_use]
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        let today = self.argon2.params();
        self.readable(hash).is_none_or(|(hash, params)| {
            let cheaper = params.m_cost() < today.m_cost()
                || params.t_cost() < today.t_cost()
                || params.p_cost() < today.p_cost();
            let shorter = hash.salt.as_ref().is_none_or(|salt| salt.len() < SALT_BYTES)
                || hash.hash.as_ref().is_none_or(|output| output.len() < OUTPUT_BYTES);
            hash.algorithm != ARGON2ID_IDENT
                || hash.version != Some(Version::V0x13.into())
                || cheaper
                || shorter
        })
    }

    /// Returns a hash at today's cost that no known password matches.
    #[must_use]
    pub fn decoy(&self) -> PasswordHash {
        PasswordHash::from_stored(self.decoy.to_string())
    }

    /// Returns a hash that can be verified, and at what cost.
    fn readable(&self, hash: &PasswordHash) -> Option<(Phc, Params)> {
        let hash = Phc::new(hash.as_str()).ok()?;
        let (algorithm, version) =
            (hash.algorithm.as_str(), hash.version.unwrap_or(Version::V0x10.into()));
        let known = Algorithm::try_from(algorithm).is_ok() && Version::try_from(version).is_ok();
        let params = Params::try_from(&hash)
            .ok()
            .filter(|_| known && hash.salt.is_some() && hash.hash.is_some())?;
        let (today, least) = (self.argon2.params(), Cost::default());
        let within = |value: u32, today: u32, least: u32| {
            value <= today.max(least).saturating_mul(MAX_TIMES)
        };
        let bounded = within(params.m_cost(), today.m_cost(), least.memory_kib)
            && within(params.t_cost(), today.t_cost(), least.passes);
        bounded.then_some((hash, params))
    }

    fn matches(&self, password: &[u8], hash: &Phc, params: Params) -> Result<bool, HashingError> {
        let salt = hash.salt.as_ref().ok_or(HashingError::Cost)?;
        let version = hash.version.or(Some(Version::V0x10.into()));
        let computed = self.argon2.hash_password_customized(
            password,
            salt,
            Some(hash.algorithm.as_str()),
            version,
            params,
        );
        Ok(computed.map_err(|_| HashingError::System)?.hash == hash.hash)
    }
}

/// Returns a hash whose output is as random as its salt.
fn decoy(params: &Params) -> Option<Phc> {
    let random = || password_hash::try_generate_salt().ok();
    let output: Vec<u8> = [random()?, random()?].concat();
    Some(Phc {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: params.try_into().ok()?,
        salt: Some(Salt::new(&random()?).ok()?),
        hash: Some(Output::new(&output).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::email::Email;
    use crate::domain::organization::LoginName;
    use crate::domain::password::PasswordContext;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    fn password(text: &str) -> Password {
        let (login_name, email) = (
            LoginName::from_stored("alice.acme".to_owned()),
            Email::parse("alice@acme.example").unwrap(),
        );
        Password::parse(
            text.as_bytes(),
            &PasswordContext { login_name: &login_name, email: &email },
        )
        .unwrap()
    }

    #[track_caller]
    fn check(hash: &PasswordHash, entered: &[u8], expected: bool) {
        let hashing = Hashing::new(CHEAP).unwrap();
        let verified = PasswordCandidate::new(entered)
            .is_some_and(|candidate| hashing.verify(&candidate, hash).unwrap());
        assert_eq!(verified, expected);
    }

    #[test]
    fn the_two_spellings_of_a_password_verify_alike() {
        let composed = Hashing::new(CHEAP)
            .unwrap()
            .hash(&password("Caf\u{e9} \u{212b}ngstr\u{f6}m \u{fb01}ne 7"))
            .unwrap();
        check(&composed, "Cafe\u{301} A\u{30a}ngstro\u{308}m fine 7".as_bytes(), true);
        check(&composed, "Cafe \u{212b}ngstr\u{f6}m fine 7".as_bytes(), false);
        check(&composed, "Caf\u{e9} \u{212b}ngstr\u{f6}m \u{fb01}ne 7 ".as_bytes(), false);
        check(&composed, b"", false);
        check(&composed, b"\xff", false);
    }

    #[test]
    fn a_password_has_another_hash_every_time_and_is_hashed_as_owasp_asks() {
        let hashing = Hashing::new(Cost::default()).unwrap();
        let (one, other) = (
            hashing.hash(&password("gate-Turnip-41-onward")).unwrap(),
            hashing.hash(&password("gate-Turnip-41-onward")).unwrap(),
        );
        assert_ne!(one, other);
        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hashing.verify(password("gate-Turnip-41-onward").candidate(), &other).unwrap());
        assert!(!hashing.verify(password("gate-Turnip-42-onward").candidate(), &other).unwrap());
    }

    #[test]
    fn a_hash_at_less_than_todays_cost_is_outdated_and_verifies_still() {
        let (today, before) =
            (Hashing::new(Cost { passes: 2, ..CHEAP }).unwrap(), Hashing::new(CHEAP).unwrap());
        let old = before.hash(&password("gate-Turnip-41-onward")).unwrap();
        assert!(today.is_outdated(&old) && !before.is_outdated(&old));
        assert!(today.verify(password("gate-Turnip-41-onward").candidate(), &old).unwrap());
        let new = today.rehash(password("gate-Turnip-41-onward").candidate()).unwrap();
        assert!(!today.is_outdated(&new) && !before.is_outdated(&new));
        let less_memory = Hashing::new(Cost { memory_kib: 128, ..CHEAP }).unwrap();
        assert!(less_memory.is_outdated(&old));
    }

    #[test]
    fn other_makes_of_argon2_verify_and_are_outdated() {
        // Made by the reference implementation: echo -n password | argon2 somesalt -t 2 -m 8 -p 1.
        let id =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let i =
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
        let of_version_16 =
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY";
        for text in [id, i, of_version_16] {
            let hash = PasswordHash::from_stored(text.to_owned());
            check(&hash, b"password", true);
            check(&hash, b"passwore", false);
            assert!(Hashing::new(CHEAP).unwrap().is_outdated(&hash));
        }
    }

    #[test]
    fn what_is_no_hash_verifies_nothing() {
        let good =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let bad = [
            "",
            "!",
            "password",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=256,t=2,p=1",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=256,t=2,p=1$c29t$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=4294967295$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ];
        for text in bad.map(str::to_owned).into_iter().chain([
            good.replace("$nf6", "$ng6"),
            format!("{good}$"),
            format!("{good} "),
        ]) {
            let hash = PasswordHash::from_stored(text);
            check(&hash, b"password", false);
        }
        let hashing = Hashing::new(CHEAP).unwrap();
        check(&hashing.decoy(), b"password", false);
        assert!(!hashing.is_outdated(&hashing.decoy()));
        assert_ne!(hashing.decoy(), Hashing::new(CHEAP).unwrap().decoy());
        assert!(!hashing.refuse(None).unwrap());
    }

    #[test]
    fn a_cost_that_argon2_doesnt_know_is_an_error() {
        assert!(matches!(Hashing::new(Cost { passes: 0, ..CHEAP }), Err(HashingError::Cost)));
        assert!(matches!(Hashing::new(Cost { lanes: 0, ..CHEAP }), Err(HashingError::Cost)));
    }

    #[test]
    fn judging_the_worst_of_passwords_takes_no_longer_than_hashing_a_few() {
        let (login_name, email) = (
            LoginName::from_stored("alice.acme".to_owned()),
            Email::parse("alice@acme.example").unwrap(),
        );
        let person = PasswordContext { login_name: &login_name, email: &email };
        let started = std::time::Instant::now();
        for letters in ["4@8({[<3691!|705$+7%2", "1234567890!@#$%^&*()", "([{<1!|7 ", "qw", "ab "] {
            let worst: String =
                letters.chars().cycle().take(crate::domain::password::MAXIMUM_LENGTH).collect();
            let _ = Password::parse(worst.as_bytes(), &person);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }
}
