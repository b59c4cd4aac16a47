//! URLs as text.

use url::Url;

/// Returns the URL as text that a path can be appended to.
pub(crate) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
