//! What a comment commands: its first line, or nothing.

use crate::model::command_words::{CommandWords, without_zero_width};
use crate::model::sha::Sha;
use crate::model::ttl::Ttl;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Bring the environment up.
    Deploy(DeployArguments),
    /// Take it down.
    Destroy,
}

/// What may follow the deploy command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeployArguments {
    /// Deploy only if the pull request's head is this commit.
    pub(crate) commit: Option<Sha>,
    /// How long the environment may live, in place of the input `ttl`.
    pub(crate) ttl: Option<Ttl>,
}

/// A command word with arguments that it does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError {
    /// How the command is written.
    pub(crate) usage: String,
    /// The argument that was not understood.
    pub(crate) argument: String,
    /// What is wrong with it.
    pub(crate) problem: Problem,
}

/// What is wrong with an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The command knows none like it.
    Unknown,
    /// There is another one of its kind.
    Repeated,
    /// The text after `ttl=` is not a valid TTL.
    InvalidTtl,
}

/// What the argument with a TTL starts with.
const TTL: &str = "ttl=";

/// Reads the command in a comment's body, `None` where there is none.
///
/// A command is the first line: the word, then nothing or arguments separated by blanks. Those may be any of Unicode's, and
/// characters without a width are not there: both come with text that was copied from a page or a chat, and nobody sees
/// them. An indented code block, a quote and a fence are not commands.
///
/// # Errors
/// The usage, where an argument is unknown or given twice.
pub(crate) fn parse(body: &str, words: &CommandWords) -> Option<Result<Command, UsageError>> {
    let line = without_zero_width(body.lines().next()?);
    if is_code_block(&line) {
        return None;
    }
    let mut tokens = line.split_whitespace();
    let word = tokens.next()?;
    if word == words.deploy {
        Some(deploy(tokens, words))
    } else if word == words.destroy {
        Some(destroy(tokens, words))
    } else {
        None
    }
}

/// [Four columns of indentation](https://spec.commonmark.org/0.31.2/#indented-code-blocks) make a code block.
fn is_code_block(line: &str) -> bool {
    line.starts_with("    ")
        || line
            .split_once('\t')
            .is_some_and(|(before, _)| before.chars().all(|c| c == ' '))
}

fn deploy<'a>(
    arguments: impl Iterator<Item = &'a str>,
    words: &CommandWords,
) -> Result<Command, UsageError> {
    let mut parsed = DeployArguments::default();
    for argument in arguments {
        deploy_argument(argument, &mut parsed).map_err(|problem| UsageError {
            usage: format!(
                "{} [40-digit commit SHA] [ttl=72h or ttl=never]",
                words.deploy
            ),
            argument: argument.to_owned(),
            problem,
        })?;
    }
    Ok(Command::Deploy(parsed))
}

fn deploy_argument(argument: &str, parsed: &mut DeployArguments) -> Result<(), Problem> {
    if let Some(text) = argument.strip_prefix(TTL) {
        let ttl = Ttl::parse(text).ok_or(Problem::InvalidTtl)?;
        return once(&mut parsed.ttl, ttl);
    }
    let commit = Sha::parse(argument).ok_or(Problem::Unknown)?;
    once(&mut parsed.commit, commit)
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::Repeated),
    }
}

fn destroy<'a>(
    mut arguments: impl Iterator<Item = &'a str>,
    words: &CommandWords,
) -> Result<Command, UsageError> {
    match arguments.next() {
        None => Ok(Command::Destroy),
        Some(argument) => Err(UsageError {
            usage: words.destroy.clone(),
            argument: argument.to_owned(),
            problem: Problem::Unknown,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sha::short;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn words() -> CommandWords {
        CommandWords {
            deploy: "/deploy-ephemeral".to_owned(),
            destroy: "/destroy-ephemeral".to_owned(),
        }
    }

    fn deployed(commit: Option<&str>) -> Option<Result<Command, UsageError>> {
        let commit = commit.and_then(Sha::parse);
        let arguments = DeployArguments { commit, ttl: None };
        Some(Ok(Command::Deploy(arguments)))
    }

    #[test]
    fn the_first_line_is_the_command() {
        for body in [
            "/deploy-ephemeral",
            "/deploy-ephemeral\r\n",
            "  /deploy-ephemeral  ",
            "/deploy-ephemeral \t\r\nplease\r\n/destroy-ephemeral",
            "\u{feff}/deploy-ephemeral",
            "/deploy-ephemeral\u{200b}",
            "/deploy\u{2060}-ephemeral\u{a0}\r\n",
            "\u{3000}/deploy-ephemeral",
        ] {
            assert_eq!(parse(body, &words()), deployed(None), "{body:?}");
        }
        assert_eq!(
            parse("/destroy-ephemeral\nthanks", &words()),
            Some(Ok(Command::Destroy))
        );
    }

    #[test]
    fn a_commit_may_follow_the_deploy_command() {
        for body in [
            format!("/deploy-ephemeral {SHA}"),
            format!("/deploy-ephemeral \t {}\r\n", SHA.to_uppercase()),
        ] {
            assert_eq!(parse(&body, &words()), deployed(Some(SHA)), "{body:?}");
        }
    }

    #[test]
    fn a_lifetime_may_follow_it_too_in_any_order() {
        let hour = Ttl::parse("1h");
        for (arguments, commit, ttl) in [
            ("ttl=1h".to_owned(), None, hour),
            ("ttl=never".to_owned(), None, Some(Ttl::Unlimited)),
            (format!("{SHA} ttl=1h"), Sha::parse(SHA), hour),
            (format!("ttl=1h {SHA}"), Sha::parse(SHA), hour),
        ] {
            assert_eq!(
                parse(&format!("/deploy-ephemeral {arguments}"), &words()),
                Some(Ok(Command::Deploy(DeployArguments { commit, ttl }))),
                "{arguments}"
            );
        }
    }

    #[test]
    fn a_commit_is_shortened_as_git_does() {
        assert_eq!(Sha::parse(SHA).unwrap().short(), "0123456");
        for (commit, abbreviated) in [("", ""), ("abc", "abc"), ("äöüßäöüß", "äöüßäöü")]
        {
            assert_eq!(short(commit), abbreviated);
        }
    }

    #[test]
    fn a_tab_may_follow_a_short_command() {
        let words = CommandWords {
            deploy: "!up".to_owned(),
            ..words()
        };
        assert_eq!(parse(&format!("!up\t{SHA}"), &words), deployed(Some(SHA)));
    }

    #[test]
    fn anything_else_is_no_command() {
        for body in [
            "",
            "\n",
            "\n/deploy-ephemeral",
            "please\n/deploy-ephemeral",
            "/deploy-ephemerals",
            "/deploy-ephemeral/",
            "/Deploy-Ephemeral",
            "> /deploy-ephemeral",
            "`/deploy-ephemeral`",
            "```\n/deploy-ephemeral\n```",
            "    /deploy-ephemeral",
            "\t/deploy-ephemeral",
            "  \t/deploy-ephemeral",
            "please /deploy-ephemeral",
            "/deploy-ephemeral\u{ad}",
            "x\u{200b}/deploy-ephemeral",
            "> \u{200b}/deploy-ephemeral",
            "\u{feff}    /deploy-ephemeral",
            "\u{200b}",
            "\u{3000}",
        ] {
            assert_eq!(parse(body, &words()), None, "{body:?}");
        }
    }

    #[test]
    fn an_unknown_argument_is_answered_with_the_usage() {
        let twice = format!("/deploy-ephemeral {SHA} {SHA}");
        for (body, argument, problem) in [
            ("/deploy-ephemeral now", "now", Problem::Unknown),
            ("/deploy-ephemeral\u{a0}x", "x", Problem::Unknown),
            ("/deploy-ephemeral 0123456", "0123456", Problem::Unknown),
            ("/deploy-ephemeral TTL=1h", "TTL=1h", Problem::Unknown),
            ("/deploy-ephemeral ttl 1h", "ttl", Problem::Unknown),
            ("/deploy-ephemeral ttl=", "ttl=", Problem::InvalidTtl),
            ("/deploy-ephemeral ttl=-1h", "ttl=-1h", Problem::InvalidTtl),
            (
                "/deploy-ephemeral ttl=1h ttl=2h",
                "ttl=2h",
                Problem::Repeated,
            ),
            ("/destroy-ephemeral --force", "--force", Problem::Unknown),
            ("/destroy-ephemeral ttl=1h", "ttl=1h", Problem::Unknown),
            (twice.as_str(), SHA, Problem::Repeated),
        ] {
            let Some(Err(error)) = parse(body, &words()) else {
                panic!("{body:?} was understood");
            };
            assert_eq!(
                (error.argument.as_str(), error.problem),
                (argument, problem)
            );
            assert!(body.starts_with(error.usage.split(' ').next().unwrap()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_a_usage_error_or_nothing(body in "\\PC{0,40}|[ \t\r\n/a-z-]{0,60}") {
            let first = body.lines().next().unwrap_or_default().trim().to_owned();
            if parse(&body, &words()).is_some() {
                prop_assert!(first.starts_with("/deploy-ephemeral") || first.starts_with("/destroy-ephemeral"));
            }
        }

        #[test]
        fn what_follows_the_first_line_says_nothing(line in "/de(ploy|stroy)-ephemeral[ a-z]{0,9}", rest in "\\PC{0,40}") {
            prop_assert_eq!(parse(&line, &words()), parse(&format!("{line}\r\n{rest}"), &words()));
        }

        #[test]
        fn blanks_around_words_say_nothing(before in " {0,3}", between in "[ \t]{1,5}", after in "[ \t]{0,5}", sha in "[0-9a-f]{40}") {
            let body = format!("{before}/deploy-ephemeral{between}{sha}{after}");
            prop_assert_eq!(parse(&body, &words()), deployed(Some(&sha)));
        }

        #[test]
        fn every_blank_of_unicode_separates_and_what_has_no_width_is_not_there(
            blanks in "[ \u{a0}\u{1680}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}\t]{1,4}",
            unseen in "[\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}]{0,3}",
            at in 0_usize..60,
            sha in "[0-9a-f]{40}",
        ) {
            let mut body = format!("/deploy-ephemeral{blanks}{sha}{blanks}ttl=1h");
            let place = body.char_indices().nth(at).map_or(body.len(), |(place, _)| place);
            body.insert_str(place, &unseen);
            prop_assert_eq!(parse(&body, &words()), parse(&format!("/deploy-ephemeral {sha} ttl=1h"), &words()));
        }

        #[test]
        fn what_stands_before_the_word_on_its_line_makes_it_none(
            before in "[a-z>`#*\u{ad}]{1,3}[\u{200b}\u{2060}]?",
        ) {
            prop_assert_eq!(parse(&format!("{before}/deploy-ephemeral"), &words()), None);
        }

        #[test]
        fn only_forty_hexadecimal_digits_are_a_commit(text in "[0-9a-fA-Fg]{38,42}") {
            let full = text.len() == 40 && !text.contains('g');
            prop_assert_eq!(Sha::parse(&text).is_some(), full);
        }
    }
}
