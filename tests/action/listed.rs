//! A `kustomization.yaml` in the instances directory, which says what Flux applies of it.

use crate::person::refused;
use crate::story::{INSTANCES, Story, ending, says_down, succeed};

/// Puts such a file beside the instances.
fn list(story: &Story, kustomization: Option<&str>) {
    let path = format!("{INSTANCES}/kustomization.yaml");
    let change = [(path.as_str(), kustomization)];
    story.repository.commit("main", &change, "List instances");
}

#[test]
fn a_file_that_the_list_leaves_out_is_refused_before_anything_is_written() {
    for list_of_others in [
        "resources: []\n",
        "resources:\n- sync-other.yaml\n",
        "kind: Kustomization\n",
    ] {
        let story = Story::new();
        list(&story, Some(list_of_others));

        let told = refused(&story, &story.deploy(), "instances-not-listed");

        let remedy = format!("remove `{INSTANCES}/kustomization.yaml`");
        assert!(told.contains(&remedy), "no {remedy} in {told}");
        assert_eq!(story.instances(), [] as [String; 0]);

        // What the remedy says helps.
        list(&story, None);
        assert_eq!(ending(&succeed(&story.deploy())).2, "true");
    }
}

#[test]
fn only_a_clear_list_refuses() {
    for unclear in [
        "resources:\n- ./sync-dev.yaml\n",
        "resources: [sync-dev.yaml]\n",
        "components:\n- ../more\n",
        "resources: [\n",
    ] {
        let story = Story::new();
        list(&story, Some(unclear));
        assert_eq!(ending(&succeed(&story.deploy())).2, "true", "{unclear}");
    }
}

#[test]
fn a_file_that_is_listed_is_emptied_and_comes_back() {
    let story = Story::new();
    list(&story, Some("resources:\n- sync-dev.yaml\n"));
    succeed(&story.deploy());

    let outcome = succeed(&story.destroy());

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    let left = story.instance("dev").unwrap();
    assert!(left.lines().all(|line| line.starts_with('#')), "{left}");
    assert!(says_down(&story.status_comment()));
    assert_eq!(ending(&succeed(&story.destroy())).2, "false");

    assert_eq!(ending(&succeed(&story.deploy())).2, "true");
    assert_eq!(
        story.instance("dev").unwrap(),
        story.current("dev", story.number)
    );
}
