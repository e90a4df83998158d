//! Base64 (RFC 4648, section 4).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns bytes in base64, padded.
pub fn encode(bytes: &[u8]) -> String {
    let group = |three: &[u8]| {
        let bits = three
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let letter = move |place: usize| char::from(LETTERS[bits >> (18 - 6 * place) & 63]);
        let padding = 3 - three.len();
        (0..4 - padding).map(letter).chain(std::iter::repeat_n('=', padding)).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// Returns the bytes of a text in base64.
pub fn decode(text: &str) -> Vec<u8> {
    let value = |letter: u8| LETTERS.iter().position(|other| *other == letter);
    let letters: Vec<usize> = text.bytes().map_while(value).collect();
    let group = |four: &[usize]| {
        let bits = four.iter().chain(&[0; 3]).take(4).fold(0, |bits, letter| bits << 6 | letter);
        let length = four.len() * 6 / 8;
        (0..length).map(move |place| u8::try_from(bits >> (16 - 8 * place) & 255).expect("a byte"))
    };
    letters.chunks(4).flat_map(group).collect()
}
