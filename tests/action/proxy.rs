//! Behind a proxy. The stories with a real one need tinyproxy: `cargo test --test action -- --ignored proxy`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use local_github::{Job, Kind, temporary_directory};

use crate::https::over_tls;
use crate::story::{Story, ending, fail, says_up, succeed};

/// A tinyproxy on a free port, behind a port that keeps what clients send to it. Dropping it ends it.
struct Proxy {
    child: Child,
    address: String,
    heard: Arc<Mutex<Vec<u8>>>,
    _directory: tempfile::TempDir,
}

impl Proxy {
    fn start(settings: &str) -> Proxy {
        let directory = temporary_directory();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let file = directory.path().join("tinyproxy.conf");
        let always = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\n");
        fs::write(&file, always + settings).unwrap();
        let child = Command::new("tinyproxy")
            .args(["-d", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tinyproxy, of the Debian package tinyproxy-bin");
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "tinyproxy does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        let heard = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let recorded = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = TcpStream::connect(("127.0.0.1", port)).unwrap();
                relay(client, proxy, &recorded);
            }
        });
        Proxy {
            child,
            address,
            heard,
            _directory: directory,
        }
    }

    fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}{}", self.address)
    }

    /// What clients sent, as far as it is text.
    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn relay(client: TcpStream, proxy: TcpStream, heard: &Arc<Mutex<Vec<u8>>>) {
    let (mut from_proxy, mut to_client) = (proxy.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_proxy, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut client, mut proxy, heard) = (client, proxy, Arc::clone(heard));
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            heard.lock().unwrap().extend_from_slice(&buffer[..read]);
            if proxy.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = proxy.shutdown(Shutdown::Both);
    });
}

fn assert_deployed(story: &Story, job: &Job) {
    let outcome = succeed(job);
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.landed().len(), 1);
}

#[test]
#[ignore = "needs tinyproxy"]
fn over_https_git_and_the_api_go_through_the_proxy_which_sees_no_token() {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let (story, proxy) = (Story::new(), Proxy::start(""));
        let port = story.github.open_tls();
        let job = over_tls(&story.deploy(), &port);

        assert_deployed(&story, &job.env(variable, &proxy.url("")));

        let heard = proxy.heard();
        let host = port.url.trim_start_matches("https://");
        let tunnel = format!("CONNECT {host} HTTP/1.1\r\n");
        assert!(heard.matches(&tunnel).count() >= 2, "Git's and the API's");
        let token = story.github.token();
        for secret in [&local_github::basic(&token), &token] {
            assert!(!heard.contains(secret.as_str()), "{heard}");
        }
        assert!(!heard.to_ascii_lowercase().contains("authorization"));
    }
}

#[test]
#[ignore = "needs tinyproxy"]
fn over_http_git_and_the_api_go_through_the_proxy() {
    for variable in ["HTTP_PROXY", "http_proxy"] {
        let (story, proxy) = (Story::new(), Proxy::start(""));

        assert_deployed(&story, &story.deploy().env(variable, &proxy.url("")));

        let (heard, server) = (proxy.heard(), story.github.server_url());
        for request in [
            format!("GET {server}/octo-org/demo/info/refs"),
            format!("POST {server}/octo-org/demo/git-receive-pack"),
            format!("GET {server}/api/v3/repos/octo-org/demo/pulls/1"),
        ] {
            assert!(heard.contains(&request), "{request}: {heard}");
        }
    }
}

#[test]
#[ignore = "needs tinyproxy"]
fn a_proxy_that_wants_credentials_gets_them_and_nobody_else_does() {
    let proxy = || Proxy::start("BasicAuth user s3cr3t.1\n");
    let credentials = encoded_credentials();
    for (is_tls, variable) in [(true, "HTTPS_PROXY"), (false, "HTTP_PROXY")] {
        let (story, proxy) = (Story::new(), proxy());
        let job = story.deploy().env("RUNNER_DEBUG", "1");
        let job = match is_tls {
            true => over_tls(&job, &story.github.open_tls()),
            false => job,
        };

        let outcome = succeed(&job.env(variable, &proxy.url("user:s3cr3t%2E1@")));

        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        let heard = proxy.heard().to_ascii_lowercase();
        assert!(heard.contains(&format!("proxy-authorization: basic {credentials}")));
        assert!(!outcome.stdout.contains("s3cr3t"), "{}", outcome.stdout);
        assert!(!story.status_comment().contains("s3cr3t"));
    }
    // Over http, tinyproxy answers to wrong credentials as if it were the server; to none, it does not.
    for (is_tls, variable, wrong) in [
        (true, "HTTPS_PROXY", "user:wr0ng@"),
        (false, "HTTP_PROXY", ""),
    ] {
        let (story, proxy) = (Story::new(), proxy());
        let job = story.deploy();
        let job = match is_tls {
            true => over_tls(&job, &story.github.open_tls()),
            false => job,
        };

        let (outcome, error) = fail(&job.env(variable, &proxy.url(wrong)));

        assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
        let named = format!(
            "(through the proxy http://{} of `{variable}`",
            proxy.address
        );
        assert!(error.contains(&named), "{error}");
        let words = match is_tls {
            true => "it has to admit that host, and the credentials in `HTTPS_PROXY`",
            false => "407: 407 Proxy Authentication Required",
        };
        assert!(error.contains(words), "{error}");
        assert!(!outcome.stdout.contains("wr0ng"), "{}", outcome.stdout);
        story.assert_untouched();
    }
}

/// The credentials of the proxy in these stories, in lower case.
fn encoded_credentials() -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode("user:s3cr3t.1");
    encoded.to_ascii_lowercase()
}

#[test]
#[ignore = "needs tinyproxy"]
fn no_proxy_names_what_is_reached_without_it() {
    for variable in ["NO_PROXY", "no_proxy"] {
        for value in ["127.0.0.1", "example.com, 127.0.0.0/8", "*"] {
            let (story, proxy) = (Story::new(), Proxy::start(""));
            let job = story.deploy().env("HTTP_PROXY", &proxy.url(""));

            assert_deployed(&story, &job.env(variable, value));

            assert_eq!(proxy.heard(), "", "{value}");
        }
    }
}

#[test]
#[ignore = "needs tinyproxy"]
fn a_proxy_that_refuses_is_named_with_the_server_that_was_meant() {
    let filter = temporary_directory();
    let list = filter.path().join("filter");
    fs::write(&list, "^nothing$\n").unwrap();
    let settings = format!("Filter \"{}\"\nFilterDefaultDeny Yes\n", list.display());
    let (story, proxy) = (Story::new(), Proxy::start(&settings));
    let port = story.github.open_tls();
    let named = format!(
        "(through the proxy http://{} of `HTTPS_PROXY`; it opened no way to 127.0.0.1: it has to admit that host",
        proxy.address
    );
    let behind = |job: &Job| job.clone().env("HTTPS_PROXY", &proxy.url(""));

    // The API and Git, then Git alone.
    let (outcome, error) = fail(&behind(&over_tls(&story.deploy(), &port)));
    assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
    assert!(error.contains(&format!("GET {}/api/v3/repos/", port.url)));
    assert!(error.contains(&named), "{error}");

    let job = story.deploy().env("GITHUB_SERVER_URL", &port.url);
    let job = job.env("SSL_CERT_FILE", port.authority.to_str().unwrap());
    let (outcome, error) = fail(&behind(&job.input("push-timeout", "300ms")));
    assert_eq!(ending(&outcome), ("create", "push-timeout", "false"));
    assert!(error.contains(&named), "{error}");
    assert!(story.status_comment().contains(&named));
    let requests = story.github.requests();
    assert!(requests.iter().all(|request| request.kind != Kind::Git));
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let story = Story::waiting();
    let free = TcpListener::bind("127.0.0.4:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let proxy = format!("http://user:s3cr3t@{address}");

    let (outcome, error) = fail(&story.deploy().env("HTTP_PROXY", &proxy));

    assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
    let named = format!("(through the proxy http://{address} of `HTTP_PROXY`)");
    assert!(error.contains(&named), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert!(!outcome.stdout.contains("s3cr3t"), "{}", outcome.stdout);
    story.assert_untouched();
}

#[test]
fn what_is_no_proxy_is_refused_before_any_request_and_not_shown() {
    let story = Story::new();
    for value in ["socks5://user:s3cr3t@proxy:1080", "http://user:s3cr3t@"] {
        let (outcome, error) = fail(&story.deploy().env("https_proxy", value));

        assert!(error.starts_with("the variable `https_proxy` is not the URL of an HTTP proxy"));
        assert!(!outcome.stdout.contains("s3cr3t"), "{}", outcome.stdout);
        story.assert_untouched();
    }
}
