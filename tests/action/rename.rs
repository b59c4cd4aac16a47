//! A repository that was renamed or transferred: its files say the name of before.

use local_github::{Fault, Job};

use crate::story::{Story, ending, start, succeed};

const FORMER: &str = "former-org/former";

/// Has the instance of `dev` say the repository's former name, as if it had been written before the rename.
fn written_before_the_rename(story: &Story, file: &str) {
    story.put("dev", &file.replace("octo-org/demo", FORMER));
}

/// Has GitHub redirect the former name, as it does once a repository is renamed or transferred.
fn redirect(story: &Story, id: u64) {
    let location = format!("{}/repositories/{id}", story.github.api_url());
    let fault = Fault::on("GET", &format!("/repos/{FORMER}")).always();
    let moved = fault.answer_text(301, "{\"message\": \"Moved Permanently\"}");
    story.github.fault(moved.header("location", &location));
}

/// A step that has to remove the instance.
fn remove_by(what: &str, story: &Story) -> Job {
    match what {
        "command" => story.destroy(),
        "close" => story.close(),
        _ => {
            story.github.close_pull_request(story.number);
            story.sweep()
        }
    }
}

#[test]
fn an_instance_with_the_repositorys_id_is_its_own_whatever_its_name_was() {
    for what in ["command", "close", "sweep"] {
        let story = Story::new();
        written_before_the_rename(&story, &story.current("dev", story.number));
        let job = remove_by(what, &story);

        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).2, "true", "{what}: {}", outcome.stdout);
        assert_eq!(story.instances(), [] as [String; 0], "{what}");
        let asked = story.requests();
        assert!(
            !asked.contains_key(&format!("GET /repos/{FORMER}")),
            "{asked:?}"
        );
    }
}

#[test]
fn an_instance_of_an_earlier_version_is_found_by_the_redirect_of_its_name() {
    for what in ["command", "close", "sweep"] {
        let story = Story::new();
        written_before_the_rename(&story, &story.earlier("dev", story.number));
        redirect(&story, story.github.repository_id());
        let job = remove_by(what, &story);

        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).2, "true", "{what}: {}", outcome.stdout);
        assert_eq!(story.instances(), [] as [String; 0], "{what}");
    }
}

#[test]
fn a_deploy_carries_an_instance_over_to_the_new_name() {
    let story = Story::new();
    written_before_the_rename(&story, &story.earlier("dev", story.number));
    redirect(&story, story.github.repository_id());
    let dry = story.deploy().input("dry-run", "true");
    assert_eq!(ending(&succeed(&dry)).0, "create");

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let file = story.instance("dev").unwrap();
    assert_eq!(file, story.current("dev", story.number));
    assert_eq!(ending(&succeed(&story.deploy())).2, "false");
}

#[test]
fn a_name_that_leads_somewhere_else_or_nowhere_is_somebody_elses() {
    for place in [Some(7), None] {
        let story = Story::new();
        let file = story.earlier("dev", story.number);
        written_before_the_rename(&story, &file);
        if let Some(id) = place {
            redirect(&story, id);
        }

        let outcome = succeed(&story.deploy());
        assert_eq!(
            ending(&outcome),
            ("refuse", "owned-by-another-pull-request", "false"),
            "{place:?}"
        );
        assert_eq!(ending(&succeed(&story.close())).2, "false", "{place:?}");
        assert_eq!(ending(&succeed(&story.sweep())).2, "false", "{place:?}");
        assert_eq!(
            story.instance("dev").unwrap(),
            file.replace("octo-org/demo", FORMER)
        );
    }
}

#[test]
fn a_run_that_is_cancelled_while_it_asks_for_a_name_ends() {
    let story = Story::waiting();
    written_before_the_rename(&story, &story.earlier("dev", story.number));
    story.github.fault(
        Fault::on("GET", &format!("/repos/{FORMER}"))
            .always()
            .hang(),
    );
    let running = start(&story.destroy());
    story.await_request(&format!("GET /repos/{FORMER}"), &running);
    running.signal("INT");
    let outcome = running.wait();
    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    assert_eq!(ending(&outcome).1, "interrupted");
}
