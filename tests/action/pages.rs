//! What a browser shows of a pull request: the page that the comment is on, and the gallery of its states.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use local_github::temporary_directory;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::story::{EXECUTABLE, REVIEWER, Story, succeed};

/// What the stories ask a page for, once everything that is folded is open.
const QUESTIONS: &str = r#"<script id="questions">
    document.querySelectorAll("details").forEach(details => details.open = true);
    const all = [...document.querySelectorAll("*")].filter(element => element.id !== "questions");
    const ours = [...document.querySelectorAll("article")].at(-1)?.querySelector(".markdown");
    const said = {
        width: document.documentElement.scrollWidth,
        window: innerWidth,
        text: document.body.innerText,
        first: ours?.firstElementChild.outerHTML,
        links: [...ours?.querySelectorAll("a") ?? []].map(link => [link.textContent, link.href]),
        rows: [...ours?.querySelectorAll("tr") ?? []].map(row => [...row.children].map(cell => cell.innerText)),
        live: all.filter(element => /^(script|img|iframe|object|embed|svg|link|base)$/i.test(element.tagName)
            || [...element.attributes].some(attribute => /^on|^srcdoc$/i.test(attribute.name))
            || /^\s*javascript:/i.test(element.getAttribute("href") ?? "")).map(element => element.outerHTML),
        ran: window.ran ?? null,
    };
    parent.document.documentElement.dataset.said = encodeURIComponent(JSON.stringify(said));
</script>"#;

/// What the browser makes of an address.
fn document(address: &str) -> String {
    let browser = env::var("FLUX_EPHEMERAL_ENV_BROWSER");
    let browser = browser.unwrap_or_else(|_| "chromium-headless-shell".to_owned());
    let output = Command::new(&browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--dump-dom", address])
        .output()
        .unwrap_or_else(|error| panic!("{browser}: {error}; `.ci/run pages` installs a browser"));
    assert!(output.status.success(), "{address}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The answers to the questions about a page, in a frame of this width: a window may not be as narrow. Whatever keeps scripts
/// from running there does not keep this one, nor those that the page may hold.
fn look(page: &str, width: u32) -> Value {
    let directory = temporary_directory();
    let path = directory.path().join("frame.html");
    let page = format!("{page}{QUESTIONS}");
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame =
        format!("<!doctype html><iframe width={width} height=800 srcdoc=\"{page}\"></iframe>");
    fs::write(&path, frame).unwrap();
    let page = document(&format!("file://{}", path.display()));
    let said = page.split("data-said=\"").nth(1).expect("an answer");
    let said = said.split('"').next().unwrap();
    serde_json::from_str(&percent_decode_str(said).decode_utf8().unwrap()).unwrap()
}

fn fits(page: &str, what: &str) {
    for width in [400, 1012] {
        let said = look(page, width);
        assert_eq!(said["window"], width);
        assert!(
            said["width"].as_u64().unwrap() <= width.into(),
            "{what} at {width}: {said}"
        );
    }
}

impl Story {
    /// Deploys, has Flux say that the environment is ready, and gives the address of the comment.
    fn become_ready(&self, name: &str, environment_url: &str) -> String {
        let reporting = |job: local_github::Job| {
            job.input("readiness", "flux")
                .input("github-environment", "preview")
                .input("environment-url", environment_url)
        };
        succeed(&reporting(self.deploy()));
        let sha = self.head_of(self.number);
        let context = format!("flux/ephemeral-{name}");
        self.github.set_status(
            &sha,
            &context,
            "success",
            "reconciliation succeeded",
            "flux[bot]",
        );
        let event = self.github.status_event(&sha, &context);
        let outcome = succeed(&reporting(self.job().event("status", &event)));
        outcome.outputs["comment-url"].clone()
    }
}

#[test]
#[ignore = "needs a browser: .ci/run pages"]
fn the_comment_of_a_ready_environment_leads_to_it() {
    let story = Story::new();
    let address = story.become_ready("dev", "https://{name}.preview.example.com/");
    let said = look(&document(&address), 1012);
    assert_eq!(said["first"], "<h3>🟢 <code>dev</code> is ready</h3>");
    let opening = json!([
        "Open dev.preview.example.com",
        "https://dev.preview.example.com/"
    ]);
    assert_eq!(said["links"][0], opening, "{said}");
    let rows = said["rows"].as_array().unwrap();
    let head = &story.head_of(story.number)[..7];
    assert_eq!(rows[0], json!(["Namespace", "dev"]));
    assert_eq!(rows[1], json!(["Branch", format!("dev at {head}")]));
    assert_eq!(rows[2], json!(["Requested by", REVIEWER]));
    let text = said["text"].as_str().unwrap();
    for shown in ["View deployment", "All checks have passed", "🚀 1"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("<!--"), "{text}");
}

#[test]
#[ignore = "needs a browser: .ci/run pages"]
fn nothing_is_wider_than_a_narrow_screen() {
    let long = "x".repeat(200);
    let story = Story::of_branch(&long);
    let address = format!(
        "https://{}.example.com/{{name}}",
        [&long[..60]; 3].join(".")
    );
    let name = succeed(&story.deploy()).outputs["name"].clone();
    story.github.comment(
        story.number,
        REVIEWER,
        &format!("`{long}` {long}\n\n    {long}"),
    );
    let comment = story.become_ready(&name, &address);
    fits(&document(&comment), "a pull request with long names");
}

#[test]
#[ignore = "needs a browser: .ci/run pages"]
fn a_strangers_text_is_shown_and_nothing_of_it_runs() {
    let branch = "x<img/src=x/onerror=ran=1>";
    let story = Story::of_branch(branch);
    let hostile = "<script>ran = 1</script> <img src=x onerror=ran=1> [link](javascript:ran=1)";
    story.github.comment(story.number, "mallory", hostile);
    let name = succeed(&story.deploy()).outputs["name"].clone();
    let address = story.become_ready(&name, "");
    let (job, _) = story.commented("mallory", &format!("/deploy-ephemeral {hostile}"));
    succeed(&job);
    let (job, _) = story.commented(REVIEWER, &format!("/deploy-ephemeral {hostile}"));
    succeed(&job);
    let unescaped = look(hostile, 1012);
    assert_eq!(
        (
            unescaped["live"].as_array().unwrap().len(),
            &unescaped["ran"]
        ),
        (2, &json!(1))
    );
    let said = look(&document(&address), 1012);
    assert_eq!(
        (&said["live"], &said["ran"]),
        (&json!([]), &Value::Null),
        "{said}"
    );
    let text = said["text"].as_str().unwrap();
    for shown in [branch, "<script>ran = 1</script>"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

/// The example that serves a pull request. It is interrupted, as by Ctrl-C, where this is dropped.
struct Served {
    child: Child,
    /// What it goes on to print has a reader.
    _output: BufReader<ChildStdout>,
}

impl Served {
    /// Starts it, and gives the address of the page.
    fn start() -> (Served, String) {
        let example = Path::new(EXECUTABLE).with_file_name("examples");
        let example = example.join("pull-request");
        let mut command = Command::new(&example);
        command.arg("--serve").stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", example.display()));
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        let served = Served {
            child,
            _output: output,
        };
        (served, first.trim().to_owned())
    }

    /// Interrupts it, and waits for its end.
    fn interrupt(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.interrupt();
        }
    }
}

/// Sends a field of the form on a page, with the page's token.
fn submit(address: &str, field: &str) {
    let page = document(address);
    let token = page
        .split("name=\"token\" value=\"")
        .nth(1)
        .expect("a form");
    let body = format!("token={}&{field}", token.split('"').next().unwrap());
    let (host, path) = address
        .trim_start_matches("http://")
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /{path}/form HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
}

/// Loads a page again and again, until it shows this.
fn await_shown(address: &str, shown: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let page = document(address);
        if page.contains(shown) {
            return;
        }
        assert!(Instant::now() < patience, "{shown}: {page}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[ignore = "needs a browser: .ci/run pages"]
fn a_comment_on_the_served_page_brings_an_environment_up() {
    let (mut served, address) = Served::start();
    submit(&address, "command=/deploy-ephemeral");
    await_shown(&address, "🟡 Flux is bringing <code>dev</code> up");
    await_shown(&address, "🟢 <code>dev</code> is ready");
    submit(&address, "button=Flux: build failed");
    await_shown(&address, "🔴 <code>dev</code> is not ready: build failed");
    submit(&address, "body=/destroy-ephemeral");
    await_shown(&address, "⚪ Flux is removing <code>dev</code>");
    assert!(served.interrupt().success());
}

#[test]
#[ignore = "needs the gallery: .ci/run pages"]
fn the_gallery_fits_a_narrow_screen() {
    let directory = env::var("FLUX_EPHEMERAL_ENV_PAGES");
    let directory = directory.expect("FLUX_EPHEMERAL_ENV_PAGES names the directory: .ci/run pages");
    for name in ["gallery.html", "pull-request.html"] {
        let path = Path::new(&directory).join(name);
        let page =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fits(&page, name);
        assert_eq!(look(&page, 400)["live"], json!([]), "{name}");
    }
}
