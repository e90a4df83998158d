//! Text that people read: what of it nobody sees, and its letters as ASCII has them.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The characters that leave nothing on the screen, as ranges in their order: control characters,
/// white space, those that Unicode has software ignore (`Default_Ignorable_Code_Point`), and signs
/// that are drawn as a blank. The rule of the CRDs is made of the same.
pub const UNSEEN: [(char, char); 25] = [
    ('\u{0}', '\u{20}'),
    ('\u{7f}', '\u{a0}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2000}', '\u{200f}'),
    ('\u{2028}', '\u{202f}'),
    ('\u{205f}', '\u{206f}'),
    // The braille pattern without dots.
    ('\u{2800}', '\u{2800}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether nobody sees a character.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    !character.is_ascii_graphic()
        && UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// What is the matter with a text of which nobody sees anything, as the operator and the CRDs say
/// it.
pub const NOTHING_SEEN: &str = "has only characters that nobody sees";

/// A text of characters that nobody sees, and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{NOTHING_SEEN}: {}", code_points(.0))]
pub struct Unseen(Vec<char>);

/// How many characters a message names.
const NAMED: usize = 4;

fn code_points(characters: &[char]) -> String {
    let named: Vec<String> =
        characters.iter().take(NAMED).map(|character| CodePoint(*character).to_string()).collect();
    let more = characters.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// A character by its number, such as `U+200B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

/// Judges whether a text has something to read. An empty one is none that was written, and is
/// judged by its length.
///
/// # Errors
/// The characters that are there, each once, where nobody sees any of them.
pub fn readable(text: &str) -> Result<(), Unseen> {
    if text.is_empty() || !text.chars().all(is_unseen) {
        return Ok(());
    }
    let mut met = vec![];
    for character in text.chars() {
        if !met.contains(&character) {
            met.push(character);
        }
    }
    Err(Unseen(met))
}

/// Latin letters that Unicode doesn't take apart into one of ASCII and its mark, in lower case.
const UNDIVIDED: [(char, &str); 42] = [
    ('ß', "ss"),
    ('æ', "ae"),
    ('ð', "d"),
    ('ø', "o"),
    ('þ', "th"),
    ('đ', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ĸ', "k"),
    ('ł', "l"),
    ('ŋ', "ng"),
    ('œ', "oe"),
    ('ŧ', "t"),
    ('ƀ', "b"),
    ('ƈ', "c"),
    ('ƌ', "d"),
    ('ƒ', "f"),
    ('ƙ', "k"),
    ('ƚ', "l"),
    ('ƞ', "n"),
    ('ƥ', "p"),
    ('ƭ', "t"),
    ('ƴ', "y"),
    ('ƶ', "z"),
    ('ǝ', "e"),
    ('ǥ', "g"),
    ('ȥ', "z"),
    ('ȷ', "j"),
    ('ȼ', "c"),
    ('ȿ', "s"),
    ('ɀ', "z"),
    ('ɇ', "e"),
    ('ɉ', "j"),
    ('ɍ', "r"),
    ('ɏ', "y"),
    ('ɓ', "b"),
    ('ɔ', "o"),
    ('ɖ', "d"),
    ('ɗ', "d"),
    ('ə', "e"),
    ('ɛ', "e"),
    ('ɨ', "i"),
];

/// A letter or digit that has none of ASCII to stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has no letter of ASCII to stand for it")]
pub struct NotLatin(pub char);

/// Returns a text in lower case with the letters of ASCII in place of those with marks, as people
/// write their names where they have no others: `Łukasz` as `lukasz`. What is no letter stays, but
/// for what nobody sees between two letters.
///
/// # Errors
/// A letter of another script: without it, it would be another name.
pub fn to_ascii_letters(text: &str) -> Result<String, NotLatin> {
    let mut ascii = String::with_capacity(text.len());
    for letter in text.nfkd().flat_map(char::to_lowercase).collect::<String>().nfkd() {
        match UNDIVIDED.iter().find(|(undivided, _)| *undivided == letter) {
            Some((_, letters)) => ascii += letters,
            None if letter.is_ascii() => ascii.push(letter),
            None if is_combining_mark(letter) => {}
            None if is_unseen(letter) && !letter.is_whitespace() => {}
            // What parts the two of the Catalan l·l, and the apostrophes that are letters.
            None if letter == '·' => {}
            None if matches!(letter, '\u{2b9}'..='\u{2bf}') => ascii.push('\''),
            None if letter.is_alphanumeric() => return Err(NotLatin(letter)),
            None => ascii.push(letter),
        }
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_no_text_alone_or_together() {
        for (text, named) in [
            (" ", "U+0020"),
            ("\u{200b}", "U+200B"),
            ("\u{ad}\u{ad}", "U+00AD"),
            ("\u{2800} ", "U+2800, U+0020"),
            ("\u{3164}", "U+3164"),
            ("\u{2060}\u{feff}", "U+2060, U+FEFF"),
            ("\u{115f}\u{1160}", "U+115F, U+1160"),
            ("\u{17b4}\u{17b5}", "U+17B4, U+17B5"),
            (
                "\u{180e}\u{fe0f}\u{e0061}\u{e007f}\u{3000}",
                "U+180E, U+FE0F, U+E0061, U+E007F and 1 more",
            ),
            ("\u{202e}\u{2067}", "U+202E, U+2067"),
        ] {
            let expected = format!("has only characters that nobody sees: {named}");
            assert_eq!(readable(text).unwrap_err().to_string(), expected, "{text:?}");
        }
        for seen in [
            "",
            "a",
            ".",
            "\u{200b}a",
            "é",
            "e\u{301}",
            "日本",
            "می\u{200c}خواهم",
            "❤\u{fe0f}",
            "‐",
            "\u{a9}",
        ] {
            assert_eq!(readable(seen), Ok(()), "{seen:?}");
        }
        assert!(
            char::MIN.is_control()
                && ('\0'..=char::MAX)
                    .filter(|c| c.is_whitespace() || c.is_control())
                    .all(is_unseen)
        );
    }

    #[test]
    fn letters_with_marks_are_those_of_ascii_and_other_scripts_are_none() {
        for (text, expected) in [
            ("Óscar", "oscar"),
            ("Ömer.Çelik", "omer.celik"),
            ("Łukasz", "lukasz"),
            ("Søren Ærø", "soren aero"),
            ("Þórður", "thordur"),
            ("Straße STRASSE ẞ", "strasse strasse ss"),
            ("İsmail ısı", "ismail isi"),
            ("Đặng Thị Hương", "dang thi huong"),
            ("Ħal Œuvre Ŋ", "hal oeuvre ng"),
            ("Zoe\u{308}", "zoe"),
            ("Əliyev", "eliyev"),
            ("Gal·la l·l", "galla ll"),
            ("ﬁona Ａｌｉｃｅ", "fiona alice"),
            ("ali\u{200b}ce\u{ad}", "alice"),
            ("O'Hara Oʻzbek", "o'hara o'zbek"),
            ("a b\u{a0}c", "a b c"),
        ] {
            assert_eq!(to_ascii_letters(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, letter) in
            [("日本", '日'), ("alice.Дмитрий", 'д'), ("Αlice", 'α'), ("على", 'ع'), ("a٣", '٣')]
        {
            assert_eq!(to_ascii_letters(text), Err(NotLatin(letter)), "{text}");
        }
    }
}
