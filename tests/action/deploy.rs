//! A deploy command becomes one commit, one comment, one status.

use std::collections::BTreeMap;

use std::time::Duration;

use local_github::{Fault, Kind};

use crate::story::{AUTHOR, REVIEWER, Story, ending, succeed};

#[test]
fn a_comment_becomes_a_commit() {
    let story = Story::new();
    let head = story.head();
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral\r\nplease");

    let outcome = succeed(&job);

    let port = story
        .github
        .server_url()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let commit = story.repository.tip("main").unwrap();
    let file = story.instance("dev").unwrap();
    assert_eq!(file, story.current("dev", story.number));

    let bot = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>";
    let log = story.repository.log("main");
    assert_eq!(
        log[0].message,
        "[ci skip] create ephemeral env from dev\n\nPull-request: #1\nRequested-by: @rita"
    );
    assert_eq!(
        (log[0].author.as_str(), log[0].committer.as_str()),
        (bot, bot)
    );
    assert_eq!(log[0].changes, [('A', Story::path("dev"))]);
    assert_eq!(story.landed().len(), 1);

    let outputs = BTreeMap::from(
        [
            ("decision", "create"),
            ("reason", "deploy-command"),
            ("changed", "true"),
            ("name", "dev"),
            ("namespace", "dev"),
            ("manifest", &Story::path("dev")),
            ("commit", &commit),
            ("environment-url", ""),
            ("comment-url", &story.github.comments(1)[1].url),
            ("swept", ""),
            ("ready", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_eq!(outcome.outputs, outputs);
    assert!(
        outcome.summary.contains("Flux is bringing"),
        "{}",
        outcome.summary
    );

    let server = format!("http://127.0.0.1:{port}/octo-org/demo");
    let told = story.status_comment();
    let (first, rest) = told.split_once("\n<!-- state ").unwrap();
    let (fingerprint, rest) = rest.split_at(16);
    assert!(fingerprint.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(
        format!("{first}{rest}"),
        format!(
            "<!-- flux-ephemeral-env --> -->\n### 🟡 Flux is bringing `dev` up\n\n\
             | **Namespace** | `dev` |\n| :-- | :-- |\n\
             | **Branch** | `dev` at [`{}`](<{server}/commit/{head}>) |\n\
             | **Requested by** | `rita` |\n\
             | **Change** | [commit](<{server}/commit/{commit}>) on `main` · [run](<{server}/actions/runs/1>) |\n\n\
             <details><summary>What happens next, and where to look</summary>\n\n\
             - Flux polls `main` every minute by default, or immediately when a webhook notifies it. \
             Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.\n\
             - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.\n\
             - Flux picks up a push to the branch within 1m0s.\n\
             - To destroy it, comment `/destroy-ephemeral` or close the pull request.\n\n\
             </details>\n<!-- /state -->\n",
            &head[..7]
        )
    );
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert_eq!(story.statuses(), ["pending", "success"]);
    let statuses = story.github.statuses(&head);
    assert_eq!(
        statuses[1].target_url.as_deref(),
        Some(format!("{server}/actions/runs/1").as_str())
    );

    let requests = [
        ("GET /collaborators/rita/permission", 1),
        // For the fetch, the push, and the look whether it is still so.
        ("GET /info/refs", 3),
        ("GET /issues/*/comments", 2),
        ("GET /pulls/*", 2),
        ("POST /git-receive-pack", 1),
        ("POST /git-upload-pack", 2),
        ("POST /graphql", 1),
        ("POST /issues/*/comments", 1),
        ("POST /issues/comments/*/reactions", 2),
        ("POST /statuses/*", 2),
    ];
    assert_eq!(
        story.requests(),
        requests
            .map(|(request, times)| (request.to_owned(), times))
            .into()
    );
}

#[test]
fn a_repeated_deploy_changes_nothing_and_says_so() {
    let story = Story::new();
    succeed(&story.deploy());
    let before = story.repository.tip("main");
    story.github.set_permission("ruth", "admin");

    let (job, comment) = story.commented("ruth", "/deploy-ephemeral");
    let outcome = succeed(&job);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "false"));
    assert_eq!(outcome.outputs["commit"], "");
    assert_eq!(outcome.outputs["namespace"], "dev");
    assert_eq!(story.repository.tip("main"), before);
    assert!(
        story
            .status_comment()
            .contains("is deployed already: nothing changed")
    );
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert_eq!(
        story.statuses(),
        ["pending", "success", "pending", "success"]
    );
}

#[test]
fn a_deploy_after_a_push_moves_the_commit() {
    let story = Story::new();
    succeed(&story.deploy());
    let pushed = story
        .repository
        .commit("dev", &[("app.txt", Some("newer\n"))], "More");

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(
        story
            .instance("dev")
            .unwrap()
            .contains(&format!("COMMIT: {pushed}"))
    );
    assert_eq!(
        story.landed(),
        [
            (
                "[ci skip] create ephemeral env from dev".to_owned(),
                vec![('M', Story::path("dev"))]
            ),
            (
                "[ci skip] create ephemeral env from dev".to_owned(),
                vec![('A', Story::path("dev"))]
            ),
        ]
    );
    assert!(story.status_comment().contains(&pushed[..7]));
}

#[test]
fn a_branch_with_a_slash_and_upper_case_is_deployed_under_a_name_of_its_own() {
    let story = Story::of_branch("feature/Login");

    let outcome = succeed(&story.deploy());

    let name = &outcome.outputs["name"];
    assert!(
        name.starts_with("feature-login-") && name.len() == 22,
        "{name}"
    );
    assert_eq!(story.instances(), [Story::path(name)]);
    let manifest = story.instance(name).unwrap();
    assert!(manifest.contains("branch: feature/Login\n"), "{manifest}");
    assert_eq!(
        story.landed()[0].0,
        "[ci skip] create ephemeral env from feature/Login"
    );
}

#[test]
fn two_pull_requests_have_an_instance_each() {
    let mut story = Story::new();
    let other = story.another("other");
    succeed(&story.deploy());
    story.number = other;
    succeed(&story.deploy());

    assert_eq!(
        story.instances(),
        [Story::path("dev"), Story::path("other")]
    );
    assert_eq!(story.landed().len(), 2);
}

#[test]
fn a_commit_that_is_the_head_is_deployed_and_stayed_on() {
    let story = Story::new();
    let head = story.head();
    let (job, _) = story.commented(
        REVIEWER,
        &format!("/deploy-ephemeral {}", head.to_uppercase()),
    );

    let outcome = succeed(&job);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let manifest = story.instance("dev").unwrap();
    let pinned = format!("    branch: dev\n    commit: {head}\n");
    assert!(manifest.contains(&pinned), "{manifest}");
    assert!(
        story
            .status_comment()
            .contains("The environment stays on this commit")
    );
}

#[test]
fn a_fork_that_is_allowed_is_pinned_and_given_no_secret() {
    let story = Story::of_fork("dev");
    let job = story.deploy().input("allow-forks", "true");

    let outcome = succeed(&job);

    let name = &outcome.outputs["name"];
    assert_eq!(name, "octo-fork-dev");
    let manifest = story.instance(name).unwrap();
    let url = format!("url: {}/octo-fork/demo.git\n", story.github.server_url());
    assert!(manifest.contains(&url), "{manifest}");
    assert!(
        manifest.contains(&format!("    branch: dev\n    commit: {}\n", story.head())),
        "{manifest}"
    );
    assert!(!manifest.contains("secretRef"), "{manifest}");
    assert!(
        story
            .status_comment()
            .contains("The environment stays on this commit")
    );
}

#[test]
fn a_forks_branch_and_ours_of_the_same_name_are_two_instances() {
    let mut story = Story::new();
    let fork = story.github.fork("octo-fork");
    fork.commit("dev", &[("app.txt", Some("theirs\n"))], "Change the app");
    succeed(&story.deploy());
    let ours = (story.number, story.instance("dev").unwrap());
    story.number = story.github.open_pull_request(&fork, "dev", "octo-fork");

    let outcome = succeed(&story.deploy().input("allow-forks", "true"));

    assert_eq!(outcome.outputs["name"], "octo-fork-dev");
    assert_eq!(outcome.outputs["namespace"], "octo-fork-dev");
    let both = [Story::path("dev"), Story::path("octo-fork-dev")];
    assert_eq!(story.instances(), both);
    assert_eq!(story.instance("dev").unwrap(), ours.1);

    // Each goes with its own pull request.
    succeed(&story.close());
    assert_eq!(story.instances(), [Story::path("dev")]);
    story.number = ours.0;
    succeed(&story.close());
    assert_eq!(story.instances(), [] as [String; 0]);
    assert_eq!(story.landed().len(), 4);
}

#[test]
fn a_forks_commit_is_deployed_only_while_it_is_the_head() {
    let story = Story::of_fork("dev");
    let head = story.head();
    let ours = story.repository.tip("main").unwrap();
    let deploy = |commit: &str| {
        let (job, _) = story.commented(REVIEWER, &format!("/deploy-ephemeral {commit}"));
        job.input("allow-forks", "true")
    };

    let outcome = succeed(&deploy(&ours));
    assert_eq!(ending(&outcome), ("refuse", "branch-has-moved", "false"));
    assert_eq!(story.landed(), []);

    let outcome = succeed(&deploy(&head));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let manifest = story.instance("octo-fork-dev").unwrap();
    assert!(
        manifest.contains(&format!("    commit: {head}\n")),
        "{manifest}"
    );
    assert!(!manifest.contains("secretRef"), "{manifest}");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_pull_request_whose_repository_is_called_otherwise_by_now_is_still_from_here() {
    let story = Story::new();
    let event = story
        .github
        .pull_request_event(story.number, "opened", AUTHOR);
    let mut pull_request = event["pull_request"].clone();
    let head = &mut pull_request["head"]["repo"];
    head["full_name"] = "mallory/other".into();
    head["name"] = "other".into();
    head["owner"]["login"] = "mallory".into();
    head["clone_url"] = "https://evil.example/mallory/other.git".into();
    head["fork"] = true.into();
    story
        .github
        .fault(Fault::on("GET", "/repos/*/pulls/*").answer(200, pull_request));

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let manifest = story.instance("dev").unwrap();
    assert!(
        manifest.contains("  url: ssh://git@127.0.0.1/octo-org/demo\n"),
        "{manifest}"
    );
    assert!(!manifest.contains("mallory"), "{manifest}");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_deleted_forks_instance_is_destroyed_by_command() {
    let story = Story::of_fork("dev");
    succeed(&story.deploy().input("allow-forks", "true"));
    story.github.delete_head_repository(story.number);

    let outcome = succeed(&story.destroy());

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
    assert!(story.status_comment().contains("### ⚪ Flux is removing "));
    assert_eq!(story.landed().len(), 2);
}

#[test]
fn a_renamed_branchs_instance_moves_with_it() {
    let story = Story::new();
    succeed(&story.deploy());
    story.github.rename_head(story.number, "develop");

    let outcome = succeed(&story.deploy());

    assert_eq!(outcome.outputs["name"], "develop");
    assert_eq!(story.instances(), [Story::path("develop")]);
    let landed = story.landed();
    assert_eq!(landed.len(), 2);
    assert_eq!(landed[0].0, "[ci skip] create ephemeral env from develop");
    assert!(
        story
            .status_comment()
            .contains("| **Replaces** | `dev` |\n")
    );
}

#[test]
fn requests_that_do_not_wait_for_one_another_run_side_by_side() {
    let story = Story::waiting();
    let delay = Duration::from_secs(2);
    // A second time after the push, when the comment and the status may be under way.
    let pull_request = Fault::on("GET", "/repos/*/pulls/*").delay(delay);
    story.github.fault(pull_request);
    for (method, path) in [
        ("GET", "/repos/*/permission"),
        ("POST", "/repos/*/reactions"),
        ("POST", "/repos/*/statuses/*"),
        ("GET", "/repos/*/issues/*/comments?*"),
        ("POST", "/graphql"),
        ("POST", "/repos/*/issues/*/comments"),
    ] {
        story
            .github
            .fault(Fault::on(method, path).always().delay(delay));
    }

    succeed(&story.deploy());

    let requests = story.github.requests();
    let rounds = [
        ["/pulls/1", "/permission", "/reactions"],
        ["/comments?", "/graphql", "/statuses/"],
        ["/issues/1/comments", "/statuses/", "/reactions"],
    ];
    let mut asked = requests
        .iter()
        .filter(|request| request.kind != Kind::Git)
        .filter(|request| request.duration.is_some_and(|taken| taken >= delay));
    for round in rounds {
        let mut together: Vec<_> = asked.by_ref().take(round.len()).collect();
        let first_answer = together
            .iter()
            .map(|request| request.arrived + request.duration.unwrap())
            .min()
            .unwrap();
        assert!(
            together
                .iter()
                .all(|request| request.arrived < first_answer),
            "{together:#?}"
        );
        for path in round {
            let index = together
                .iter()
                .position(|request| request.path.contains(path));
            together.remove(index.unwrap_or_else(|| panic!("{path} is not in {together:#?}")));
        }
    }
    // Whether somebody else created the comment, too.
    assert!(asked.next().unwrap().path.contains("/comments?"));
    assert_eq!(asked.count(), 0);
}
