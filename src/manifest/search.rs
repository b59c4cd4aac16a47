//! Finds the files that may matter to a run by their bytes, so that only those are parsed. Among thousands of instances,
//! parsing is most of what a run costs.
//!
//! A file that is left out cannot have the value. Apart from an escape (`\`) and a tag (`!`), YAML has no way to write such a
//! value in other bytes than its own: it holds no blank and no quote, so it is neither folded over lines nor doubled, and an
//! anchor repeats what the file holds elsewhere. Files with an escape or a tag are never left out. The action itself writes
//! these values as they are, in quotes or without.

use memchr::memchr2;
use memchr::memmem::Finder;

/// A value to look for in files.
pub(crate) struct Search {
    finder: Finder<'static>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A whole number: zeros and a sign may stand in front of it.
    Number,
    /// A word of letters, digits and `-`.
    Word,
}

impl Search {
    pub(crate) fn pull_request(number: u64) -> Search {
        Search::new(&number.to_string(), Kind::Number)
    }

    pub(crate) fn namespace(namespace: &str) -> Search {
        Search::new(namespace, Kind::Word)
    }

    fn new(text: &str, kind: Kind) -> Search {
        Search {
            finder: Finder::new(text.as_bytes()).into_owned(),
            kind,
        }
    }

    /// Whether the file may have the value. Only a no is certain.
    pub(crate) fn may_match(&self, file: &[u8]) -> bool {
        memchr2(b'\\', b'!', file).is_some() || self.stands_alone(file)
    }

    /// Whether the text is there and is not a part of a longer number or word.
    fn stands_alone(&self, file: &[u8]) -> bool {
        let length = self.finder.needle().len();
        self.finder.find_iter(file).any(|start| {
            let (before, rest) = file.split_at_checked(start).unwrap_or((file, &[]));
            let before = match self.kind {
                Kind::Number => without_zeros(before),
                Kind::Word => before,
            };
            !before.last().is_some_and(|byte| self.continues(*byte))
                && !rest.get(length).is_some_and(|byte| self.continues(*byte))
        })
    }

    fn continues(&self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || (self.kind == Kind::Word && byte == b'-')
    }
}

fn without_zeros(mut text: &[u8]) -> &[u8] {
    while let Some(shorter) = text.strip_suffix(b"0") {
        text = shorter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_where_it_stands_alone() {
        for (file, is_found) in [
            ("n: \"7\"", true),
            ("n: '7'", true),
            ("n: 7", true),
            ("n: 007", true),
            ("n: +7", true),
            ("{n: 7}", true),
            ("7", true),
            ("n: 17", false),
            ("n: 70", false),
            ("n: 7a", false),
            ("n: f7", false),
            ("n: 107", false),
            ("n: a07", false),
            ("", false),
            // Nobody can tell without parsing.
            (r#"n: "\x37""#, true),
            ("n: !!binary Nw==", true),
        ] {
            let search = Search::pull_request(7);
            assert_eq!(search.may_match(file.as_bytes()), is_found, "{file}");
        }
    }

    #[test]
    fn a_namespace_is_found_where_it_stands_alone() {
        for (file, is_found) in [
            ("n: dev", true),
            ("n: \"dev\"", true),
            ("n: |-\n  dev\n", true),
            ("n: dev-2", false),
            ("n: pr-dev", false),
            ("n: devel", false),
            ("n: feature/dev", true),
        ] {
            let search = Search::namespace("dev");
            assert_eq!(search.may_match(file.as_bytes()), is_found, "{file}");
        }
    }
}
