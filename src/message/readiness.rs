//! What Flux says of an environment: what it usually means, and the command that shows more.

use std::time::Duration;

use crate::message::context::{Context, DESCRIPTION_LENGTH, more};
use crate::message::markdown::{block, code, shortened};
use crate::model::readiness::Readiness;
use crate::model::sha::short;

/// What a reason of Flux's usually means, as Flux's commit status names it
/// ([reasons](https://fluxcd.io/flux/components/kustomize/api/v1/#pkg-constants)).
const MEANINGS: [(&str, &str, Look); 6] = [
    (
        "build failed",
        "kustomize cannot build the overlay, or that a variable in it has no value",
        Look::Build,
    ),
    (
        "health check failed",
        "a pod crashes, or that its image cannot be pulled",
        Look::Pods,
    ),
    (
        "artifact failed",
        "the commit has no directory of the overlay's name, or that Flux could not fetch the branch",
        Look::Source,
    ),
    (
        "reconciliation failed",
        "the Kubernetes API refuses something in the overlay, or that Flux may not apply it",
        Look::Kustomization,
    ),
    (
        "prune failed",
        "Flux could not remove something that the overlay no longer has",
        Look::Kustomization,
    ),
    (
        "dependency not ready",
        "something that the environment depends on (`dependsOn`) is not ready",
        Look::Kustomization,
    ),
];

/// What the commands about an environment name.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The name of the `GitRepository` and the `Kustomization`.
    pub(crate) object_name: String,
    /// Their namespace.
    pub(crate) flux_namespace: String,
    /// Directory of the overlay.
    pub(crate) overlay_path: String,
    /// Namespace of the application.
    pub(crate) namespace: String,
    /// Whether the environment stays on its commit.
    pub(crate) is_pinned: bool,
}

/// Where the cause shows.
#[derive(Clone, Copy)]
enum Look {
    /// Where the overlay is built.
    Build,
    /// At what runs in the namespace.
    Pods,
    /// At what Flux fetched.
    Source,
    /// At what Flux applied.
    Kustomization,
}

/// The first line, in a person's words.
pub(crate) fn title(readiness: &Readiness, namespaces: &str) -> String {
    match readiness {
        Readiness::Unreported | Readiness::ComingUp | Readiness::Unwatched => {
            format!("### 🟡 Flux is bringing {namespaces} up")
        }
        Readiness::Ready => format!("### 🟢 {namespaces} is ready"),
        Readiness::Failed(words) => {
            format!("### 🔴 {namespaces} is not ready: {}", reason(words))
        }
        Readiness::Late { .. } => format!("### 🔴 {namespaces} is not ready yet"),
    }
}

/// A reason of Flux's as it is, and anybody else's words without effect.
fn reason(words: &str) -> String {
    match MEANINGS.iter().find(|(known, ..)| *known == words) {
        Some((known, ..)) => (*known).to_owned(),
        None => code(words),
    }
}

/// What is wrong and how to find out more, where something is.
pub(crate) fn what_it_means(
    context: &Context,
    readiness: &Readiness,
    place: &Place,
) -> Option<String> {
    match readiness {
        Readiness::Unreported | Readiness::ComingUp | Readiness::Ready => None,
        Readiness::Unwatched => Some(
            "The run that waited for Flux was cancelled. The environment stays, and Flux goes on."
                .to_owned(),
        ),
        Readiness::Failed(words) => {
            let known = MEANINGS.iter().find(|(known, ..)| known == words);
            let (meaning, look) = match known {
                Some((_, meaning, look)) => (format!("This usually means that {meaning}."), *look),
                None => (
                    "Flux could not bring the environment up.".to_owned(),
                    Look::Kustomization,
                ),
            };
            Some(format!(
                "{meaning}\n\n**What to do:** {} Then push a fix{}. {}.",
                look_at(look, place),
                match place.is_pinned {
                    true => format!(" and comment {}", code(&context.deploy_command)),
                    false => ": Flux picks it up by itself".to_owned(),
                },
                more(&context.help_url, "flux-failed")
            ))
        }
        Readiness::Late { waited, answer } => {
            let why = match answer {
                None => format!(
                    "Flux has not said within {} whether it is ready.",
                    length(*waited)
                ),
                Some(answer) => {
                    format!(
                        "Nobody can tell whether it is ready, for GitHub did not answer as it should:\n\n{}",
                        block(answer)
                    )
                }
            };
            Some(format!(
                "{why}\n\n**What to do:** see whether Flux could fetch the branch, which it reports nowhere: {}. Then run {}. If \
                 the environment is ready there, Flux does not report to GitHub. {}.",
                code(&flux(place, "sources git")),
                code(&flux(place, "kustomizations")),
                more(&context.help_url, "not-ready-in-time")
            ))
        }
    }
}

/// The command that shows more, as a sentence that ends.
fn look_at(look: Look, place: &Place) -> String {
    let kustomization = code(&flux(place, "kustomizations"));
    match look {
        Look::Build => format!(
            "run {} on the branch. {kustomization} shows Flux's own message.",
            code(&format!("kubectl kustomize {}", place.overlay_path))
        ),
        Look::Pods => {
            format!(
                "look at the pods: {}. {kustomization} names what is not ready.",
                code(&format!("kubectl -n {} get pods", place.namespace))
            )
        }
        Look::Source => format!(
            "check that {} is on the branch, and that Flux can fetch it: {}. {kustomization} shows Flux's own message.",
            code(&place.overlay_path),
            code(&flux(place, "sources git"))
        ),
        Look::Kustomization => format!("run {kustomization}, which shows Flux's own message."),
    }
}

/// Flux's command for the environment's object of this kind.
fn flux(place: &Place, kind: &str) -> String {
    let namespace = match place.flux_namespace.as_str() {
        // The command's own default.
        "flux-system" => String::new(),
        other => format!(" -n {other}"),
    };
    format!("flux get {kind} {}{namespace}", place.object_name)
}

/// Who will say more.
pub(crate) fn where_to_look(readiness: &Readiness, place: &Place) -> String {
    let command = code(&flux(place, "kustomizations"));
    match readiness {
        Readiness::Unreported => format!(
            "Flux does not report here, so this comment does not say when it is ready: {command} does."
        ),
        _ if place.is_pinned => format!("Flux reports to this pull request. {command} shows more."),
        _ => format!(
            "Flux reports to this pull request, also after each push. {command} shows more."
        ),
    }
}

/// The description of a commit status or a deployment.
pub(crate) fn in_short(readiness: &Readiness, namespace: &str) -> String {
    let text = match readiness {
        Readiness::Unreported | Readiness::ComingUp => format!("Flux is bringing {namespace} up"),
        Readiness::Unwatched => "The run that waited for Flux was cancelled".to_owned(),
        Readiness::Ready => format!("{namespace} is ready"),
        Readiness::Failed(words) => format!("Flux: {words}"),
        Readiness::Late {
            waited,
            answer: None,
        } => format!("Not ready within {}", length(*waited)),
        Readiness::Late { .. } => format!("Cannot tell whether {namespace} is ready"),
    };
    shortened(&text, DESCRIPTION_LENGTH)
}

/// Why the job fails, where it does.
pub(crate) fn error(readiness: &Readiness, namespace: &str, commit: &str) -> Option<String> {
    let commit = short(commit);
    match readiness {
        Readiness::Unreported | Readiness::ComingUp | Readiness::Ready => None,
        Readiness::Unwatched => Some(format!(
            "the run was cancelled while it waited for Flux; the environment {namespace} stays"
        )),
        Readiness::Failed(words) => Some(format!(
            "Flux could not bring {namespace} up at {commit}: {words}; the environment stays"
        )),
        Readiness::Late {
            waited,
            answer: None,
        } => Some(format!(
            "Flux has not said within {} that {namespace} is ready at {commit}; the environment stays",
            length(*waited)
        )),
        Readiness::Late {
            answer: Some(answer),
            ..
        } => Some(format!(
            "cannot tell whether {namespace} is ready at {commit}: {answer}; the environment stays"
        )),
    }
}

/// A time as Flux writes it: `1m30s`.
fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let text: String = parts
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    match text.is_empty() {
        true => "0s".to_owned(),
        false => text,
    }
}
