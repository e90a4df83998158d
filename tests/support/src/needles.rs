//! Texts that are looked for in everything there is, in every form that they may have been brought
//! into.

use std::collections::BTreeSet;

use crate::base64;

/// Everything that a text might have come into: a name, and what is there.
pub type Places = Vec<(String, Vec<u8>)>;

/// Returns the forms that a text may have been brought into.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let percent = |keep: fn(u8) -> bool| -> String {
        bytes
            .iter()
            .map(
                |&byte| {
                    if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
                },
            )
            .collect()
    };
    // What of it is the same wherever it stands in a longer text.
    let base64 = |before: usize| {
        let all = base64::encode(&[&vec![0; before], bytes].concat());
        let (from, to) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
        all.as_bytes()[from..to].to_vec()
    };
    let url_safe = |form: &[u8]| {
        form.iter()
            .map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect()
    };
    let encoded = percent(|byte| byte.is_ascii_alphanumeric());
    let mut forms = vec![
        ("as it is", bytes.to_vec()),
        ("percent-encoded", encoded.clone().into_bytes()),
        ("percent-encoded in lower case", encoded.to_lowercase().into_bytes()),
        ("as a form has it", encoded.replace("%20", "+").into_bytes()),
        ("percent-encoded where it must be", percent(|byte| byte != b' ').into_bytes()),
        (
            "in hexadecimal",
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(),
        ),
        ("with its & escaped", text.replace('&', "\\u0026").into_bytes()),
        (
            "as a list of numbers",
            bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",").into_bytes(),
        ),
        (
            "as a spaced list of numbers",
            bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes(),
        ),
        ("in UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    for before in 0..3 {
        let form = base64(before);
        forms.push(("in base64 for addresses", url_safe(&form)));
        forms.push(("in base64", form));
    }
    forms
}

/// A form that a planted text may have been brought into: the text, what the form is called, and
/// the form.
type Needle = (&'static str, (&'static str, Vec<u8>));

/// Texts to find, by how they begin: there is a lot to look through.
struct Needles(Vec<Vec<Needle>>);

impl Needles {
    fn new(texts: &[&'static str]) -> Self {
        let mut by_start = vec![vec![]; 1 << 16];
        for needle in
            texts.iter().flat_map(|&text| forms(text).into_iter().map(move |form| (text, form)))
        {
            let bytes = &needle.1.1;
            by_start[start([bytes[0], bytes[1]])].push(needle);
        }
        Self(by_start)
    }

    /// Returns those that are in a place.
    fn within(&self, place: &[u8]) -> BTreeSet<(&'static str, &'static str)> {
        let mut found = BTreeSet::new();
        for at in 0..place.len().saturating_sub(1) {
            for (text, (name, form)) in &self.0[start([place[at], place[at + 1]])] {
                if place[at..].starts_with(form) {
                    found.insert((*text, *name));
                }
            }
        }
        found
    }
}

fn start(two: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(two))
}

/// Returns where any of the planted texts is, in any form.
pub fn found(planted: &[&'static str], places: &Places) -> Vec<String> {
    let needles = Needles::new(planted);
    let in_place = |(name, place): &(String, Vec<u8>)| {
        let hits = needles.within(place).into_iter();
        hits.map(|(text, form)| format!("{text:?} {form} in {name}")).collect::<Vec<_>>()
    };
    places.iter().flat_map(in_place).collect()
}
