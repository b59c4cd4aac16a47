//! Proxies, as the environment names them.

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, bail};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::model::token::Token;

/// Which requests go through which proxy.
#[derive(Clone)]
pub(crate) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Knows `NO_PROXY`.
    matcher: Arc<Matcher>,
}

/// A proxy, and the variable that names it. It may hold credentials, which its texts do not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    url: Url,
    variable: String,
}

impl Proxies {
    /// Takes the proxies for `http` and `https` URLs, and the value of `NO_PROXY`: hosts, domains and networks, separated by
    /// commas, or `*` ([curl](https://everything.curl.dev/usingcurl/proxies/env.html)).
    pub(crate) fn new(http: Option<Proxy>, https: Option<Proxy>, no_proxy: &str) -> Proxies {
        // For the matcher an address is no host that `*` stands for.
        let is_none = no_proxy.split(',').any(|entry| entry.trim() == "*");
        let (http, https) = match is_none {
            true => (None, None),
            false => (http, https),
        };
        // The matcher is asked whether, never where to: a stand-in keeps the credentials in one place.
        let stand_in = |proxy: &Option<Proxy>| match proxy {
            Some(_) => "http://proxy.invalid",
            None => "",
        };
        let matcher = Matcher::builder()
            .http(stand_in(&http))
            .https(stand_in(&https))
            .no(no_proxy)
            .build();
        Proxies {
            http,
            https,
            matcher: Arc::new(matcher),
        }
    }

    /// The proxy that a request to `url` goes through.
    pub(crate) fn of(&self, url: &Url) -> Option<&Proxy> {
        self.matcher.intercept(&url.as_str().parse().ok()?)?;
        match url.scheme() {
            "http" => self.http.as_ref(),
            _ => self.https.as_ref(),
        }
    }

    /// The passwords, which must not be shown.
    pub(crate) fn passwords(&self) -> impl Iterator<Item = Token> {
        let proxies = self.http.iter().chain(&self.https);
        proxies.filter_map(Proxy::password)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(&self.http)
            .entries(&self.https)
            .finish()
    }
}

impl Proxy {
    /// Parses the value of the variable: `host:port` or a URL, with or without credentials.
    ///
    /// # Errors
    /// It is not the URL of an HTTP proxy. The value is not shown, because it may hold a password.
    pub(crate) fn parse(variable: &str, value: &str) -> Result<Proxy> {
        let url = match value.contains("://") {
            true => Url::parse(value),
            false => Url::parse(&format!("http://{value}")),
        };
        let url = url
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = url else {
            bail!(
                "the variable `{variable}` is not the URL of an HTTP proxy: give one like `http://proxy.example.com:3128` or `http://<user>:<password>@proxy.example.com:3128`, with `%40` for an `@` in the password"
            );
        };
        Ok(Proxy {
            url,
            variable: variable.to_owned(),
        })
    }

    /// With the credentials, for the client and nothing else.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The variable that names it.
    pub(crate) fn variable(&self) -> &str {
        &self.variable
    }

    fn password(&self) -> Option<Token> {
        let password = self.url.password().filter(|text| !text.is_empty())?;
        let decoded = percent_encoding::percent_decode_str(password);
        Some(Token::new(&decoded.decode_utf8_lossy()))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "the proxy {scheme}://{host}")?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, " of `{}`", self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(value: &str) -> Option<Proxy> {
        Some(Proxy::parse("HTTPS_PROXY", value).unwrap())
    }

    #[test]
    fn a_proxy_is_named_without_its_credentials() {
        for (value, named) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://proxy:3128/", "http://proxy:3128"),
            ("proxy:3128", "http://proxy:3128"),
            ("proxy", "http://proxy"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("https://proxy", "https://proxy"),
            ("http://user:secret@proxy:3128", "http://proxy:3128"),
            ("user:secret@proxy:3128", "http://proxy:3128"),
            ("http://user:se@cret@proxy:3128", "http://proxy:3128"),
            ("http://user:%C3%A4%40@proxy:3128", "http://proxy:3128"),
        ] {
            let proxy = proxy(value).unwrap();
            let expected = format!("the proxy {named} of `HTTPS_PROXY`");
            assert_eq!(proxy.to_string(), expected, "{value}");
            assert_eq!(format!("{proxy:?}"), expected, "{value}");
        }
        let passwords = |value| {
            let proxies = Proxies::new(proxy(value), None, "");
            let passwords = proxies.passwords();
            passwords
                .map(|it| it.expose().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(passwords("http://u:a%40%C3%A4@proxy"), ["a@ä"]);
        assert_eq!(passwords("http://u@proxy"), [] as [&str; 0]);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        for value in [
            "socks5://user:secret@proxy",
            "secret://",
            "http://",
            "http://user:secret@",
            "http://secret proxy",
            "user:secret@proxy:port",
        ] {
            let error = Proxy::parse("https_proxy", value).unwrap_err().to_string();
            assert!(
                error.starts_with("the variable `https_proxy` is not"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_scheme_and_no_proxy_decide() {
        let (http, https) = (proxy("one"), proxy("two"));
        let no = "internal.example, .dot.example,10.0.0.0/8, 192.168.1.7,[::1],localhost";
        let both = Proxies::new(http.clone(), https.clone(), no);
        let https_only = Proxies::new(None, https.clone(), "");
        for (proxies, url, expected) in [
            (&both, "https://github.com/a/b", &https),
            (&both, "http://github.com/a/b", &http),
            (&both, "https://notinternal.example", &https),
            (&both, "https://internal.example", &None),
            (&both, "https://a.internal.example:8443/x", &None),
            (&both, "https://dot.example", &None),
            (&both, "https://a.dot.example", &None),
            (&both, "https://10.1.2.3", &None),
            (&both, "https://11.1.2.3", &https),
            (&both, "https://192.168.1.7", &None),
            (&both, "http://localhost:3000", &None),
            (&https_only, "http://github.com", &None),
            (&https_only, "https://github.com", &https),
            (
                &Proxies::new(http.clone(), https.clone(), "*"),
                "https://github.com",
                &None,
            ),
            (
                &Proxies::new(http.clone(), https.clone(), "a, *"),
                "https://127.0.0.1:8443",
                &None,
            ),
            (&Proxies::new(None, None, ""), "https://github.com", &None),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(proxies.of(&url), expected.as_ref(), "{url}");
        }
    }
}
