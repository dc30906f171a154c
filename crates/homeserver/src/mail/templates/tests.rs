use tempfile::TempDir;

use super::*;

fn words(kind: LetterKind, language: Language) -> Words<'static> {
    Words {
        kind,
        language,
        server: "example.org",
        address: "ana@example.com",
        user: Some("@ana:example.org"),
        code: kind.proves().then_some("271828"),
        link: kind.proves().then_some("https://example.org/confirm?session=s&token=t"),
        minutes: 15,
    }
}

fn written(words: &Words<'_>) -> Written {
    MailTemplates::default().write(words).unwrap()
}

/// A folder with these templates.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    folder
}

#[track_caller]
fn refused(files: &[(&str, &str)], expected: &str) {
    let error = MailTemplates::from_folder(folder(files).path()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_mail_that_proves_an_address_says_all_that_one_needs() {
    let mail = written(&words(LetterKind::ProveToReset, Language::English));
    assert_eq!(mail.subject, "A new password for example.org");
    assert_eq!(
        mail.text,
        "Hello,

Somebody, hopefully you, wants to set a new password for the account @ana:example.org at example.org.

Your code is

    271828

Type it where you are asked for it, or open this link:

    https://example.org/confirm?session=s&token=t

It is good for 15 minutes, and once. Tell it nobody: those who run example.org never ask for it.

If it was not you, you need do nothing.

--
example.org sent this to ana@example.com. Nobody reads what you answer."
    );
    assert!(mail.html.contains("<p>Your code is</p>\n<p style="), "{}", mail.html);
    assert!(mail.html.contains("confirm?session=s&amp;token=t\">confirm here</a>. It is"));
}

#[test]
fn without_a_link_there_is_the_code() {
    let mail = written(&Words { link: None, ..words(LetterKind::ProveToAdd, Language::English) });
    assert!(
        mail.text.contains("Type it where you are asked for it.\n\nIt is good"),
        "{}",
        mail.text
    );
    assert!(!mail.html.contains("<a"), "{}", mail.html);
}

#[test]
fn every_kind_says_something_else_in_every_language() {
    for language in [Language::English, Language::Chinese] {
        let all = LetterKind::ALL.map(|kind| written(&words(kind, language)));
        for (kind, mail) in LetterKind::ALL.into_iter().zip(&all) {
            let (text, html) = (&mail.text, &mail.html);
            assert_eq!(text.contains("271828"), kind.proves(), "{text}");
            assert_eq!(html.contains("271828"), kind.proves(), "{html}");
            assert_eq!(text.contains("您"), language == Language::Chinese, "{text}");
            assert!(text.contains("ana@example.com") && html.contains("ana@example.com"));
            assert!(!text.contains("\n\n\n") && !mail.subject.is_empty(), "{text}");
            assert_eq!(all.iter().filter(|other| other.text == *text).count(), 1, "{text}");
            assert!(!mail.subject.contains("271828"));
        }
    }
}

#[test]
fn what_comes_from_others_cannot_be_html_nor_end_a_line_of_the_subject() {
    let (server, user) = ("x\r\nBcc: b@x", Some("@<b>a</b>:x"));
    let hostile = Words { server, user, ..words(LetterKind::ProveToAdd, Language::English) };
    let mail = written(&hostile);
    assert_eq!(mail.subject, "Confirm your address for x Bcc: b@x");
    assert!(mail.html.contains("@&lt;b&gt;a&lt;&#x2f;b&gt;:x"), "{}", mail.html);
}

#[test]
fn one_template_may_be_replaced() {
    let text = "{{ kind }} {{ server }} {{ code }} {{ user or address }}\n";
    let folder = folder(&[("en.txt", text), ("notes.md", "{{")]);
    let templates = MailTemplates::from_folder(folder.path()).unwrap();
    let asked = words(LetterKind::ProveToAdd, Language::English);
    let mail = templates.write(&asked).unwrap();
    assert_eq!(mail.text, "add example.org 271828 @ana:example.org");
    assert_eq!(mail.subject, written(&asked).subject);
    let asked = Words { language: Language::Chinese, ..asked };
    assert_eq!(templates.write(&asked).unwrap().text, written(&asked).text);
}

#[test]
fn mistakes_are_found_at_the_start() {
    refused(&[("en.txt", "{% if kind %}{{ code }}")], "en.txt");
    refused(&[("zh.html", "{{ code }} {{ sever }}")], "zh.html");
    refused(&[("zh.html", "{% if kind == 'known' %}{{ nobody }}{% endif %}{{ code }}")], "zh.html");
    refused(&[("en.txt", "no code")], "en.txt hides the code of the kind \"register\"");
    refused(&[("en.html", "{% if kind != 'add' %}{{ code }}{% endif %}")], "of the kind \"add\"");
    refused(&[("en.subject.txt", " \n")], "makes no subject");
    refused(&[("zh.subject.txt", "{{ kind }} {{ code }}")], "zh.subject.txt shows the code");
    refused(&[("en.text.txt", "{{ code }}")], "en.text.txt is the name of none");
    refused(&[("en.txt", &"a".repeat(300_000))], "too large");
    refused(&[], "there are none in");
    let nowhere = folder(&[]).path().join("nowhere");
    let error = MailTemplates::from_folder(&nowhere).unwrap_err().to_string();
    assert!(error.contains("is not readable"), "{error}");
}
