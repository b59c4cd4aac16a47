//! What a person does on the page of a pull request: comment, or press a button.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use maud::{Markup, html};

use super::layout;
use crate::http::{Answer, Request};
use crate::state::Shared;

/// What somebody did on the page of a pull request. Until it is dropped, the page says that something is under way.
#[derive(Debug)]
pub struct Submission {
    /// The pull request.
    pub number: u64,
    /// What they did.
    pub sent: Sent,
    _under_way: UnderWay,
}

/// One of the things that can be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// They commented; the comment is there, and this is its id.
    Comment(u64),
    /// They pressed the button with this label.
    Button(String),
}

/// Counts itself.
#[derive(Debug)]
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The form on the pages of pull requests.
pub(crate) struct FormRecord {
    /// Whose comments it sends.
    login: String,
    note: String,
    commands: Vec<String>,
    buttons: Vec<String>,
    /// Only these pages know it, so no other site can send the form.
    token: String,
    submissions: Sender<Submission>,
    under_way: Arc<AtomicUsize>,
}

impl FormRecord {
    pub(crate) fn new(
        login: &str,
        note: &str,
        commands: &[&str],
        buttons: &[&str],
        submissions: Sender<Submission>,
    ) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            login: login.to_owned(),
            note: note.to_owned(),
            commands: owned(commands),
            buttons: owned(buttons),
            token: random(),
            submissions,
            under_way: Arc::default(),
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// The form. While the page loads itself again and again there is nothing to write in, for it would be lost.
    pub(super) fn html(&self, action: &str, is_under_way: bool) -> Markup {
        html! {
            form.box method="post" action=(action) {
                input type="hidden" name="token" value=(self.token);
                @if is_under_way {
                    p.faint { "Something is under way, and this page shows it as it comes. Then there is a box for other comments." }
                } @else {
                    label { "Comment as " strong { (self.login) } textarea name="body" rows="3" placeholder=[self.commands.first()] {} }
                    button.primary name="do" value="comment" { "Comment" }
                }
                div.buttons {
                    @for command in &self.commands { button name="command" value=(command) { code { (command) } } }
                    @for button in &self.buttons { button name="button" value=(button) { (button) } }
                }
                p.faint { (self.note) }
            }
        }
    }
}

/// Takes a form that was sent, and leads back to the page.
pub(super) fn answer(shared: &Shared, request: &Request) -> Answer {
    let segments = request.segments();
    let [owner, name, _, number, _] = segments.as_slice() else {
        return super::html(404, layout::not_found());
    };
    let mut state = shared.state();
    let is_base = state
        .repository(owner, name)
        .is_some_and(|repository| repository.id == state.base);
    let number = number.parse().ok().filter(|number| {
        let issue = state.issues.get(number);
        is_base && issue.is_some_and(|issue| issue.pull.is_some())
    });
    let (Some(number), Some(form)) = (number, &state.form) else {
        return super::html(404, layout::not_found());
    };
    let field = |name: &str| request.form_field(name).filter(|value| !value.is_empty());
    if field("token").as_ref() != Some(&form.token) {
        let text =
            "This form is not of this local GitHub, or of an earlier one: load the page again.";
        return Answer::text(403, text);
    }
    let (login, submissions) = (form.login.clone(), form.submissions.clone());
    let under_way = UnderWay::new(&form.under_way);
    let pressed = field("button").filter(|button| form.buttons.contains(button));
    let body = field("command").or_else(|| field("body"));
    let sent = match (pressed, body) {
        (Some(button), _) => Some(Sent::Button(button)),
        (None, Some(body)) if !body.trim().is_empty() => {
            Some(Sent::Comment(state.add_comment(number, &login, &body)))
        }
        _ => None,
    };
    if let Some(sent) = sent {
        // Nobody is left to hear of it where whoever offered the form has ended.
        let _ = submissions.send(Submission {
            number,
            sent,
            _under_way: under_way,
        });
    }
    let place = format!("/{owner}/{name}/pull/{number}#end");
    Answer::text(303, "").header("location", &place)
}

/// Sixteen bytes that nobody can guess.
fn random() -> String {
    let mut bytes = [0; 16];
    let source = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.expect("the system's randomness");
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
