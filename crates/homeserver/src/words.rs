//! Names and texts as people search for them: words, whatever their case and accents.

use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;

/// How many words of a name count.
const MOST: usize = 16;
/// How many characters of a word count.
const LONGEST: usize = 32;

/// `text` in small letters and without accents.
pub(crate) fn fold(text: &str) -> String {
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(text.chars());
    let small = apart.flat_map(char::to_lowercase).filter(|letter| !is_accent(*letter));
    small.fold(String::new(), |mut folded, letter| {
        match plain(letter) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(letter),
        }
        folded
    })
}

/// The words of `text`, folded, in their order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(is_between).filter(|word| !word.is_empty()).take(MOST);
    words.map(|word| word.chars().take(LONGEST).collect()).collect()
}

/// Up to `most` different words of a message, folded. Where writing does not part words, each sign is
/// one.
pub(crate) fn words_of_message(text: &str, most: usize) -> BTreeSet<String> {
    // What is far behind the beginning is not looked at.
    let beginning: String = text.chars().take(most.saturating_mul(2 * LONGEST)).collect();
    let folded = fold(&beginning);
    let mut words = BTreeSet::new();
    let apart = folded.split(is_between).flat_map(without_spaces);
    for word in apart.filter(|word| !word.is_empty()) {
        words.insert(word.chars().take(LONGEST).collect());
        if words.len() >= most {
            break;
        }
    }
    words
}

/// The words of a run that nothing parts.
fn without_spaces(run: &str) -> impl Iterator<Item = &str> {
    run.split_inclusive(is_sign).flat_map(|part| match part.chars().next_back() {
        Some(last) if is_sign(last) => {
            let (before, sign) = part.split_at(part.len() - last.len_utf8());
            [before, sign]
        }
        _ => [part, ""],
    })
}

/// The signs of languages that are written without spaces: Chinese, Japanese.
fn is_sign(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The combining marks of Latin, Greek and Cyrillic letters.
fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

/// Letters that Unicode does not take apart, as those write them who do not have them.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ı' => "i",
        'þ' => "th",
        _ => return None,
    })
}

/// Whether a character stands between words. Signs that are no letters, such as emoji, make words.
fn is_between(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || letter.is_ascii_punctuation()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{206f}')
        || matches!(letter, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected, "{text:?}");
    }

    #[test]
    fn words_have_no_case_and_no_accents() {
        check("Ana Maria", &["ana", "maria"]);
        check("JOSÉ Ñandú", &["jose", "nandu"]);
        check("Jose\u{301}", &["jose"]);
        check("Straße Øre Łódź Ærø", &["strasse", "ore", "lodz", "aero"]);
        check("Ελένη ЁЛКА", &["ελενη", "елка"]);
        check("ＦＵＬＬ ﬁne", &["full", "fine"]);
        check("İSTANBUL ısı", &["istanbul", "isi"]);
    }

    #[test]
    fn what_is_no_letter_parts_words_and_other_signs_make_some() {
        check("john.smith_99-x", &["john", "smith", "99", "x"]);
        check("  O'Neill,  (Tom) ", &["o", "neill", "tom"]);
        check("田中 太郎", &["田中", "太郎"]);
        check("🦊 fox", &["🦊", "fox"]);
        check("a\u{200d}b\u{2013}c", &["a", "b", "c"]);
        for nothing in ["", " ", "...", "\u{301}\u{200b}", "\0\n"] {
            check(nothing, &[]);
        }
    }

    #[test]
    fn words_are_few_and_short() {
        assert_eq!(words(&"a ".repeat(100)).len(), MOST);
        assert_eq!(words(&"é".repeat(100)), ["e".repeat(LONGEST)]);
    }

    #[test]
    fn a_message_has_each_of_its_words_once_and_not_too_many() {
        let check = |text: &str, most, expected: &[&str]| {
            let expected: BTreeSet<_> = expected.iter().map(|word| fold(word)).collect();
            assert_eq!(words_of_message(text, most), expected, "{text:?}");
        };
        check("The cat, the CAT!", 8, &["cat", "the"]);
        check("one two three", 2, &["one", "two"]);
        check("明天见 ok再见", 8, &["ok", "再", "天", "明", "见"]);
        check("カナ한국어 어", 8, &["カ", "ナ", "한국어", "어"]);
        check("", 8, &[]);
        assert_eq!(words_of_message(&"a".repeat(10_000), 8).len(), 1);
        assert!(words_of_message(&(" ".repeat(10_000) + "late"), 8).is_empty());
    }
}
