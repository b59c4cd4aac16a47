//! A secret, and how it is kept out of everything that is shown.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A secret: its `Debug` is redacted and it has no `Display`.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A secret of this text.
    pub(crate) fn new(text: &str) -> Token {
        Token(text.to_owned())
    }

    /// The secret itself, for the header of a request and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The credentials of Git's basic authentication, as secret as the token
    /// ([docs](https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#about-authentication-as-a-github-app-installation)).
    pub(crate) fn basic(&self) -> String {
        STANDARD.encode(format!("x-access-token:{}", self.0))
    }

    /// Text without the secret in any form that is sent, or that a `Debug` of such text has.
    pub(crate) fn redact(&self, text: &str) -> String {
        let quoted = format!("{:?}", self.0);
        let escaped = quoted.get(1..quoted.len() - 1).unwrap_or(&self.0);
        let basic = self.basic();
        [&self.0, escaped, &basic, basic.trim_end_matches('=')]
            .into_iter()
            .fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}
