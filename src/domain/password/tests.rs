use super::*;
use Requirement::{
    Confirmed, HardToGuess, MaximumLength, MinimumLength, NoByteOrderMark, NotOwnName, NotUtf16,
    OneLine, Text, Visible,
};
use proptest::prelude::*;

fn judged(entered: &[u8]) -> Result<Password, Vec<Requirement>> {
    let (login_name, email) = (
        LoginName::from_stored("alice.acme".to_owned()),
        Email::parse("alice.smith@b\u{fc}cher.example").unwrap(),
    );
    Password::parse(entered, &PasswordContext { login_name: &login_name, email: &email })
}

#[track_caller]
fn check(entered: impl AsRef<[u8]>, unmet: &[Requirement]) {
    assert_eq!(judged(entered.as_ref()).err().unwrap_or_default(), unmet);
}

const GOOD: &str = "gate Turnip, 41 onward";

#[test]
fn a_password_is_one_line_without_its_line_end() {
    for accepted in ["", "\n", "\r\n"] {
        let password = judged(format!("{GOOD}{accepted}").as_bytes()).unwrap();
        assert_eq!(password.candidate().as_bytes(), GOOD.as_bytes());
    }
    for (refused, found) in [
        ("\n\n", '\n'),
        ("\r", '\r'),
        ("\n\r", '\n'),
        ("\0", '\0'),
        ("\t", '\t'),
        ("\u{7f}", '\u{7f}'),
        ("\u{85}", '\u{85}'),
        ("\u{2028}", '\u{2028}'),
        ("\u{2029}", '\u{2029}'),
        ("\nx", '\n'),
        ("\r\n\n", '\r'),
        ("\u{1b}[0m", '\u{1b}'),
    ] {
        check(format!("{GOOD}{refused}"), &[OneLine(Some(found))]);
    }
    check(format!(" {GOOD} "), &[]);
}

/// Returns what a file in UTF-16 has.
fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn what_a_file_or_a_clipboard_adds_is_no_part_of_a_password() {
    check(format!("\u{feff}{GOOD}\r\n"), &[NoByteOrderMark]);
    check(format!("\u{feff}\u{feff}{GOOD}"), &[NoByteOrderMark, Visible(Some('\u{feff}'))]);
    for text in [
        format!("{GOOD}\r\n"),
        format!("\u{feff}{GOOD}\r\n"),
        "\u{feff}Grüße an 41 Rüben, 日本".to_owned(),
    ] {
        check(utf16(&text, u16::to_le_bytes), &[NotUtf16]);
        check(utf16(&text, u16::to_be_bytes), &[NotUtf16]);
    }
    let hidden =
        ('\u{200b}'..='\u{200f}').chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
    for found in
        hidden.chain(['\u{feff}', '\u{2060}', '\u{ad}', '\u{61c}', '\u{180e}', '\u{e0001}'])
    {
        for text in
            [format!("{found}{GOOD}"), format!("gate {found}{GOOD}"), format!("{GOOD}{found}\n")]
        {
            let is_mark = text.starts_with('\u{feff}');
            check(text, &[if is_mark { NoByteOrderMark } else { Visible(Some(found)) }]);
        }
    }
    for good in [
        "gate \u{a0}Turnip, 41 onward",
        "gate ❤\u{fe0f} Turnip, 41 onward",
        "ворота Репа, 41 вперёд",
    ] {
        check(good, &[]);
    }
}

#[test]
fn what_joins_or_parts_two_signs_is_typed_and_belongs_to_a_password() {
    for good in [
        "می\u{200c}خواهم هفت کتاب",
        "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3} gate Turnip, 41",
        "gate 👩\u{200d}❤\u{fe0f}\u{200d}👩 Turnip, 41",
    ] {
        check(good, &[]);
    }
    for joiner in ['\u{200c}', '\u{200d}'] {
        check(format!("gate{joiner}Turnip, 41 onward"), &[]);
        for refused in [
            format!("{joiner}{GOOD}"),
            format!("{GOOD}{joiner}\n"),
            format!("gate{joiner}{joiner}Turnip, 41 onward"),
            format!("gate{joiner} Turnip, 41 onward"),
            format!("gate {joiner}Turnip, 41 onward"),
        ] {
            check(refused, &[Visible(Some(joiner))]);
        }
    }
}

#[test]
fn what_is_found_is_told_with_how_it_gets_in_and_nothing_of_the_password() {
    let told = |entered: &[u8]| {
        judged(entered).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (entered, words) in [
        (
            format!("\u{feff}{GOOD}").into_bytes(),
            "a byte order mark, which editors on Windows write: save it as UTF-8 without BOM",
        ),
        (
            utf16(GOOD, u16::to_le_bytes),
            "UTF-16, as Notepad's Unicode and the > of Windows PowerShell do: save it as UTF-8",
        ),
        (
            format!("{GOOD}\u{200b}").into_bytes(),
            "has U+200B, as text pasted from web pages, chats and documents has",
        ),
        (format!("{GOOD}\u{200b}").into_bytes(), "has: type it, or paste it as plain text"),
        (
            format!("{GOOD}\u{200f}").into_bytes(),
            "has U+200F, as text pasted from web pages, chats and documents has: leave it out",
        ),
        (
            format!("{GOOD}\u{200d}").into_bytes(),
            "has: leave it out but between two characters that are seen",
        ),
        (format!("{GOOD}\0").into_bytes(), "has U+0000, as binary data and UTF-16 have"),
        (format!("{GOOD}\nmore").into_bytes(), "has U+000A, a line break, as before a second line"),
    ] {
        let told = told(&entered);
        assert!(told.contains(words), "{told}");
        assert!(
            !["gate", "Turnip", "41", "onward", "more"].iter().any(|part| told.contains(part)),
            "{told}"
        );
    }
}

#[test]
fn a_length_is_counted_in_characters_after_normalization() {
    check("vq7 Kd2 Zp9 Lm", &[MinimumLength]);
    check("vq7 Kd2 Zp9 Lm4", &[]);
    check("vq7 Kd2 Zp9 Le\u{301}", &[MinimumLength]);
    check("vq7 Kd2 Zp9 \u{fb03}", &[]);
    check(
        "\u{1f422}\u{1f980}\u{1f40c}\u{1f9ec}\u{1f300}\u{1f6f0}\u{1f9ff}\u{1f52d}\u{1f4ef}\u{1f5ff}\u{1f9f6}\u{1f941}\u{1f335}\u{1fa81}\u{1f3ba}",
        &[],
    );
    let long: String = GOOD.chars().cycle().take(127).collect();
    check(format!("{long}e\u{301}"), &[]);
    check(format!("{long}\u{fb01}"), &[MaximumLength]);
    check(format!("{long}e\u{323}\u{301}"), &[MaximumLength]);
    check("\u{1112}\u{1161}\u{11ab}".repeat(128), &[HardToGuess]);
}

#[test]
fn everything_that_is_wrong_is_named_in_order() {
    check("", &[MinimumLength, HardToGuess]);
    check("\n", &[MinimumLength, HardToGuess]);
    check("alice\n\n", &[OneLine(Some('\n')), MinimumLength, HardToGuess]);
    check("alice", &[MinimumLength, HardToGuess, NotOwnName]);
    check(b"\xff\0", &[Text, OneLine(Some('\0')), MinimumLength, HardToGuess]);
    check([GOOD.as_bytes(), b"\xff"].concat(), &[Text]);
    check([GOOD.as_bytes(), b"\xed\xa0\x80"].concat(), &[Text]);
    check("a".repeat(1 << 20), &[MaximumLength, HardToGuess]);
    check("\u{fdfa}".repeat(1 << 18), &[MaximumLength]);
    check("\u{301}".repeat(1 << 19), &[MaximumLength, HardToGuess]);
    check(vec![0xff; 1 << 20], &[Text, MaximumLength, HardToGuess]);
}

#[test]
fn what_is_easily_guessed_is_refused_and_no_kind_of_character_is_asked_for() {
    for weak in [
        "               ",
        "passwordpassword",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyz",
        "1234567890!@#$%^&*()",
    ] {
        check(weak, &[HardToGuess]);
    }
    for weak in [
        "qw".repeat(64),
        "alice.acme-".repeat(9) + "alice",
        "password ".repeat(14),
        "password-".repeat(14),
        "correct".repeat(10),
        "a".repeat(128),
        "4@8({[<3691!|705$+7%2".repeat(2) + "~",
    ] {
        let hard = weak.contains('~');
        check(weak, if hard { &[] } else { &[HardToGuess] });
    }
    for strong in [
        "turnip gate onward lamp",
        "482915037264918350",
        "\u{5929}\u{6c14}\u{4e0d}\u{9519}\u{54c8}\u{54c8}\u{6211}\u{4eec}\u{53bb}\u{722c}\u{5c71}\u{5403}\u{996d}\u{559d}\u{8336}",
    ] {
        check(strong, &[]);
    }
}

#[test]
fn ones_own_names_alone_or_repeated_are_refused_and_may_be_contained() {
    let email = "alice.smith@xn--bcher-kva.example";
    for name in [
        "alice.acme",
        "ALICE.ACME",
        "alice",
        "\u{ff21}lice",
        email,
        "Alice.Smith@B\u{dc}CHER.example",
        "alice.smith@bu\u{308}cher.example",
    ] {
        for text in [name.to_owned(), name.repeat(2), name.repeat(3), format!("{name} - {name}")] {
            let named = judged(text.as_bytes()).unwrap_err();
            assert!(named.contains(&NotOwnName), "{text}: {named:?}");
        }
    }
    check("alicealicealice", &[HardToGuess, NotOwnName]);
    check("alice.acme gate Turnip 41", &[]);
    check("gate alice@acme.example Turnip", &[]);
    check("acme.alice-kestrel-41x", &[]);
}

#[test]
fn the_username_of_one_letter_and_the_placeholder_of_a_copy_are_names_too() {
    let (login_name, email) = (
        LoginName::from_stored("e.acme".to_owned()),
        Email::parse("e@acme.example").unwrap().placeholder(12),
    );
    let person = PasswordContext { login_name: &login_name, email: &email };
    for own in ["eeeeeeeeeeeeeee", "e@acme.example e@acme.example", "e@acme.example (Copy 12)"] {
        let named = Password::parse(own.as_bytes(), &person).unwrap_err();
        assert!(named.contains(&NotOwnName), "{own}: {named:?}");
    }
    assert!(
        Password::parse("turnip gate onward lamp beside the seven elms".as_bytes(), &person)
            .is_ok()
    );
}

#[test]
fn characters_that_arent_seen_tell_two_passwords_of_old_apart() {
    let entered = |hidden: &str| {
        PasswordCandidate::new(format!("gate{hidden}Turnip41onward").as_bytes()).unwrap()
    };
    for hidden in ["\u{200b}", "\u{200d}", "\u{202e}", "\u{feff}", "\u{ad}"] {
        assert_ne!(entered(hidden).as_bytes(), entered("").as_bytes());
    }
    check(
        "\u{5d2}\u{5e9}\u{5de} \u{5d1}\u{5d7}\u{5d5}\u{5e5} \u{5e2}\u{5dd} \u{5e7}\u{5e4}\u{5d4} 41",
        &[],
    );
}

#[test]
fn a_password_that_is_entered_twice_must_be_the_same() {
    let (login_name, email) = (
        LoginName::from_stored("alice.acme".to_owned()),
        Email::parse("alice@acme.example").unwrap(),
    );
    let twice = |one: &str, other: &str| {
        Password::confirmed(
            one.as_bytes(),
            other.as_bytes(),
            &PasswordContext { login_name: &login_name, email: &email },
        )
        .err()
        .unwrap_or_default()
    };
    assert_eq!(twice(GOOD, &format!("{GOOD}\n")), []);
    assert_eq!(twice("caf\u{e9} Turnip 41 on", "cafe\u{301} Turnip 41 on"), []);
    assert_eq!(twice(GOOD, &format!("{GOOD} ")), [Confirmed]);
    assert_eq!(twice(GOOD, ""), [Confirmed]);
    assert_eq!(twice("alice", "bob"), [MinimumLength, HardToGuess, NotOwnName, Confirmed]);
}

#[test]
fn no_password_can_be_read_in_a_log() {
    let password = judged(GOOD.as_bytes()).unwrap();
    let shown = format!(
        "{password:?} {:?} {:?}",
        password.candidate(),
        PasswordHash::from_stored("$argon2id$".to_owned())
    );
    assert_eq!(shown, "Password(…) Candidate(…) PasswordHash(…)");
}

#[test]
fn every_requirement_reads_on_from_a_password() {
    for requirement in Requirement::iter() {
        let text = requirement.to_string();
        assert!(text.starts_with("must ") && !text.ends_with('.'), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_text_makes_judging_panic(text in prop_oneof!["\\PC{0,140}", "[qwaszx]{30,140}", "[qwaszx ]{30,140}", "[aA4@]{30,140}", "[Ss$5 /.0-9]{15,140}", "(alice|the|a|A|1|!){5,60}"]) {
        let length = text.nfkc().count();
        let unmet = judged(text.as_bytes()).err().unwrap_or_default();
        prop_assert_eq!(unmet.contains(&MinimumLength), length < MINIMUM_LENGTH);
        prop_assert_eq!(unmet.contains(&MaximumLength), length > MAXIMUM_LENGTH);
    }

    #[test]
    fn whoever_enters_a_password_in_any_spelling_enters_the_same(text in "\\PC{15,60}") {
        let entered = |text: String| PasswordCandidate::new(text.as_bytes()).map(|candidate| candidate.as_bytes().to_owned());
        let expected = entered(text.clone());
        prop_assert_eq!(&entered(text.nfd().collect()), &expected);
        prop_assert_eq!(&entered(text.nfkd().collect()), &expected);
        if let Ok(password) = judged(text.as_bytes()) {
            prop_assert_eq!(Some(password.candidate().as_bytes().to_owned()), expected);
        }
    }
}
