//! HTTP for Git and GitHub's API alike: one TLS configuration, the proxies of the environment, and no redirect that is
//! followed, for the token goes with every request.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use crate::model::proxy::Proxies;

/// The longest quote of a server, in characters.
const WORDS_LENGTH: usize = 1_000;

/// Makes clients.
pub(crate) struct Connector {
    tls: ClientConfig,
    proxies: Proxies,
}

/// A client, and through what it reaches a server. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    pub(crate) client: Client,
    proxies: Proxies,
}

impl Connector {
    /// Reads the certificate authorities of the system, or of the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn new(proxies: &Proxies) -> Result<Connector> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (valid, _) = roots.add_parsable_certificates(found.certs);
        if valid == 0 {
            let errors = found.errors.iter().map(|error| format!(": {error}"));
            bail!(
                "there are no certificate authorities to trust{}: set `SSL_CERT_FILE` to a PEM file that holds some",
                errors.collect::<String>()
            );
        }
        let provider = rustls::crypto::ring::default_provider();
        let tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .context("setting up TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector {
            tls,
            proxies: proxies.clone(),
        })
    }

    /// Makes a client that waits this long for a connection, for an answer's beginning, and for each further part of it.
    pub(crate) fn client(&self, limit: Duration) -> Result<HttpClient> {
        let proxies = self.proxies.clone();
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .connect_timeout(limit)
            .read_timeout(limit)
            .redirect(Policy::none())
            // What may be sent again is for the callers to know.
            .retry(reqwest::retry::never())
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| {
                proxies.of(url).map(|proxy| proxy.url().clone())
            }))
            .build()
            .context("setting up HTTP")?;
        Ok(HttpClient {
            client,
            proxies: self.proxies.clone(),
        })
    }
}

impl HttpClient {
    /// Returns words about a request to `url`, with the proxy that it went through.
    pub(crate) fn explained(&self, url: &str, words: &str) -> String {
        let Ok(url) = Url::parse(url) else {
            return words.to_owned();
        };
        let Some(proxy) = self.proxies.of(&url) else {
            return words.to_owned();
        };
        let remedy = match words.contains("tunnel error") {
            true => format!(
                "; it opened no way to {}: it has to admit that host, and the credentials in `{}` have to be right; name hosts that are reached without it in `NO_PROXY`",
                url.host_str().unwrap_or_default(),
                proxy.variable()
            ),
            false => String::new(),
        };
        format!("{words} (through {proxy}{remedy})")
    }
}

/// Returns an error with what is behind it, each text once. It begins where HTTP failed, and leaves the URL out: whoever
/// tells the error names both.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let begin = causes(error).find(|error| error.is::<reqwest::Error>());
    let mut words = String::new();
    for error in causes(begin.unwrap_or(error)) {
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(error) => without_url(error),
            None => error.to_string(),
        };
        if !words.contains(&text) {
            let separator = if words.is_empty() { "" } else { ": " };
            words = format!("{words}{separator}{text}");
        }
    }
    words
}

/// Whether the server has no certificate that is trusted here.
pub(crate) fn is_about_certificate(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| {
        let error = error.downcast_ref::<rustls::Error>();
        matches!(error, Some(rustls::Error::InvalidCertificate(_)))
    })
}

/// An error and what caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // As its source, an I/O error passes over the error that it wraps.
    match error.downcast_ref::<std::io::Error>() {
        Some(wrapper) => {
            let wrapped = wrapper.get_ref()?;
            Some(wrapped)
        }
        None => error.source(),
    }
}

fn without_url(error: &reqwest::Error) -> String {
    let text = error.to_string();
    match error.url() {
        Some(url) => text.replace(&format!(" for url ({url})"), ""),
        None => text,
    }
}

/// What the body of an answer says: a text as it is, cut off where it is long, and of a page its title.
pub(crate) fn server_words(body: &str) -> String {
    let body = body.trim();
    let lower = body.to_ascii_lowercase();
    let is_page = lower.starts_with('<');
    let words = if is_page {
        let title = lower.find("<title>").zip(lower.find("</title>"));
        let title = title.and_then(|(begin, end)| body.get(begin + "<title>".len()..end));
        title.unwrap_or("a page without a title").trim()
    } else {
        body
    };
    let lines = words.lines().map(str::trim_end);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let words = lines.join("\n");
    match words.char_indices().nth(WORDS_LENGTH) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_as_it_is_and_of_a_page_the_title() {
        for (body, words) in [
            ("", ""),
            (" no\n", "no"),
            ("one\n\n two \n", "one\n two"),
            ("<html><head><TITLE>\nUnicorn!\n</TITLE>", "Unicorn!"),
            ("<html>", "a page without a title"),
            ("</title><title>", "a page without a title"),
            ("<p>İ<title>ä</title>", "ä"),
        ] {
            assert_eq!(server_words(body), words, "{body}");
        }
        let long = server_words(&"ä".repeat(WORDS_LENGTH + 1));
        assert_eq!(long.chars().count(), WORDS_LENGTH + 1);
        assert!(long.ends_with("ä…"));
    }
}
