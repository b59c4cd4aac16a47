//! The image, started as the runner starts it. Needs a container engine, so it runs where an image is named:
//! `FLUX_EPHEMERAL_ENV_IMAGE=<tag> cargo test --test action -- --ignored`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use tempfile::TempDir;

use crate::story::{Story, ending};

fn image() -> String {
    std::env::var("FLUX_EPHEMERAL_ENV_IMAGE")
        .expect("FLUX_EPHEMERAL_ENV_IMAGE names the image to test")
}

#[test]
#[ignore = "needs a container engine and an image"]
fn the_image_deploys_and_destroys() {
    let story = Story::new();
    let workspace = TempDir::new().unwrap();
    story
        .repository
        .checkout(workspace.path(), &["--depth", "1"]);
    let owner = 1001;
    for path in [workspace.path().to_owned(), workspace.path().join(".git")] {
        std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    }

    let outcome = story
        .deploy()
        .workspace(workspace.path())
        .run_image(&image());

    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    assert_eq!(
        outcome.outputs["commit"],
        story.repository.tip("main").unwrap()
    );
    assert!(story.status_comment().contains("### 🚀 Deployed\n"));
    let file = workspace.path().join(Story::path("dev"));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        story.instance("dev").unwrap()
    );
    assert_eq!(fs::metadata(&file).unwrap().uid(), owner);

    let outcome = story.close().run_image(&image());

    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "true"),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
#[ignore = "needs a container engine and an image"]
fn the_image_has_nothing_to_do_for_an_ordinary_comment() {
    let story = Story::new();
    let (job, _) = story.commented("somebody", "Looks good");

    let outcome = job.run_image(&image());

    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(ending(&outcome), ("none", "not-a-command", "false"));
    story.assert_untouched();
}
