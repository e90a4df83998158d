//! People's time zones: the names of the IANA database, in the case in which it has them, and those
//! that are near.

use std::fmt;

use jiff::tz::{TimeZone, db};

/// Why a text isn't the name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTimeZone {
    /// The database has no such name, and perhaps one that is near.
    Unknown {
        /// The nearest one.
        nearest: Option<String>,
    },
    /// It is a distance from UTC.
    Offset,
    /// It is an abbreviation, of which many places have the same.
    Abbreviation,
}

impl fmt::Display for NoTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { nearest: Some(name) } => {
                write!(f, "isn't a name of the IANA time zone database ({name}?)")
            }
            Self::Unknown { nearest: None } => {
                f.write_str("isn't a name of the IANA time zone database: write one such as America/Phoenix")
            }
            Self::Offset => f.write_str(
                "is a distance from UTC and no name of the IANA time zone database: write one with a place whose clocks go so, such as America/Phoenix",
            ),
            Self::Abbreviation => f.write_str(
                "is an abbreviation and no name of the IANA time zone database: write one with a place, such as America/Phoenix",
            ),
        }
    }
}

/// Judges whether a text is the name of a time zone. Older names that the database keeps as links
/// are, such as `Asia/Calcutta`.
///
/// # Errors
/// Where the database has no such name, or has it in another case.
pub fn known(name: &str) -> Result<(), NoTimeZone> {
    let found = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    match found.as_ref().and_then(TimeZone::iana_name) {
        Some(exact) if exact == name => Ok(()),
        Some(exact) => Err(NoTimeZone::Unknown { nearest: Some(exact.to_owned()) }),
        None => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> NoTimeZone {
    let offset = ["utc", "gmt"]
        .iter()
        .find_map(|zero| name.to_ascii_lowercase().strip_prefix(zero).map(str::to_owned));
    let is_distance = |rest: &str| rest.starts_with(['+', '-']);
    if offset.as_deref().is_some_and(is_distance) || is_distance(name) {
        return NoTimeZone::Offset;
    }
    if (2..=5).contains(&name.len()) && name.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return NoTimeZone::Abbreviation;
    }
    NoTimeZone::Unknown { nearest: nearest(name) }
}

/// Returns the name of the database that somebody may have meant: one that ends in the same place,
/// else one that is spelt much the same.
fn nearest(name: &str) -> Option<String> {
    let asked = name.to_ascii_lowercase().replace(' ', "_");
    let place = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let names: Vec<String> =
        db().available().map(|name| name.to_string()).filter(|name| name.contains('/')).collect();
    let is_same_place = |name: &&String| place(&name.to_ascii_lowercase()) == place(&asked);
    if let Some(same) = names
        .iter()
        .filter(is_same_place)
        .min_by_key(|name| (distance(&name.to_ascii_lowercase(), &asked), *name))
    {
        return Some(same.clone());
    }
    let (slips, best) = names
        .iter()
        .map(|name| (distance(&name.to_ascii_lowercase(), &asked), name))
        .min_by_key(|(slips, name)| (*slips, *name))?;
    (slips <= asked.len() / 6 + 1).then(|| best.clone())
}

/// Returns how many slips of the pen lie between two texts: a letter too many, missing, wrong, or
/// two that changed places.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least =
                (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_links_of_the_database_are_time_zones() {
        for name in [
            "America/Phoenix",
            "Asia/Calcutta",
            "US/Pacific",
            "America/Argentina/Ushuaia",
            "UTC",
            "Etc/GMT+2",
            "Europe/Kiev",
        ] {
            assert_eq!(known(name), Ok(()), "{name}");
        }
        for name in db().available() {
            assert_eq!(known(name.as_str()), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_is_none_is_told_with_the_nearest_name() {
        for (name, nearest) in [
            ("America/Pheonix", "America/Phoenix"),
            ("america/phoenix", "America/Phoenix"),
            ("Europe/Berln", "Europe/Berlin"),
            ("Phoenix", "America/Phoenix"),
            ("America/Berlin", "Europe/Berlin"),
            ("New York", "America/New_York"),
            ("Asia/Singapur", "Asia/Singapore"),
        ] {
            assert_eq!(
                known(name),
                Err(NoTimeZone::Unknown { nearest: Some(nearest.to_owned()) }),
                "{name}"
            );
        }
        for name in ["Mars/Phobos", "", "Etc/Unknown", "Eastern Standard Time", "/"] {
            assert_eq!(known(name), Err(NoTimeZone::Unknown { nearest: None }), "{name}");
        }
        for name in ["UTC+2", "GMT-5:30", "+02:00", "utc+1"] {
            assert_eq!(known(name), Err(NoTimeZone::Offset), "{name}");
        }
        for name in ["CEST", "PST", "IST"] {
            assert_eq!(known(name), Err(NoTimeZone::Abbreviation), "{name}");
        }
    }
}
