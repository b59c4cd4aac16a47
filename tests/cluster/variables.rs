//! What Flux puts into an overlay, where the overlay means a string.

use serde_json::json;

use crate::cluster::Cluster;

const OVERLAY: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: ${BRANCH_NAME}
resources:
  - ns.yaml
  - strings.yaml
";

/// One place a line where a number is written as the docs say; only the several lines are a string without it.
const STRINGS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: strings
  labels:
    example.com/number: ${quote}${PULL_REQUEST}${quote}
  annotations:
    example.com/number: ${quote}${PULL_REQUEST}${quote}
    example.com/commit: "${quote}${COMMIT:0:7}${quote}"
data:
  plain: ${quote}${PULL_REQUEST}${quote}
  double: "${quote}${PULL_REQUEST}${quote}"
  single: '${quote}${PULL_REQUEST}${quote}'
  folded: >-
    ${quote}${PULL_REQUEST}${quote}
  block: |-
    ${quote}${PULL_REQUEST}${quote}
  lines: |
    ${PULL_REQUEST}
  text: "pull request ${PULL_REQUEST}"
  commit: "${quote}${COMMIT:0:7}${quote}"
"#;

const GENERATED: &str = "\
configMapGenerator:
  - name: generated
    literals:
      - number=${quote}${PULL_REQUEST}${quote}
    options:
      disableNameSuffixHash: true
";

pub(crate) fn a_number_between_quote_variables_is_a_string_wherever_one_is_meant(
    cluster: &Cluster,
) {
    let files = [
        ("kustomization.yaml", format!("{OVERLAY}{GENERATED}")),
        ("strings.yaml", STRINGS.to_owned()),
    ];
    let pull_request = cluster.pull_request_with(cluster.repository.clone(), "strings", &files);
    // A commit whose first seven digits are a number, as one in 27 is.
    let mut attempts = 0..;
    let commit = loop {
        let tip = cluster.repository.tip("strings").unwrap();
        if tip.bytes().take(7).all(|digit| digit.is_ascii_digit()) {
            break tip;
        }
        let salt = attempts.next().unwrap().to_string();
        pull_request.push_files(&[("salt.txt", salt)]);
    };
    let environment = pull_request.deploy();
    environment.until_ready();

    let get = |name: &str| {
        let found = cluster
            .plane
            .kube
            .get(&environment.namespace, "configmap", name);
        found.unwrap()
    };
    let number = pull_request.number.to_string();
    let strings = get("strings");
    assert_eq!(
        strings["data"],
        json!({
            "plain": number,
            "double": number,
            "single": number,
            "folded": number,
            "block": number,
            "lines": format!("{number}\n"),
            "text": format!("pull request {number}"),
            "commit": commit[..7],
        })
    );
    let metadata = &strings["metadata"];
    assert_eq!(metadata["labels"]["example.com/number"], number.as_str());
    assert_eq!(
        metadata["annotations"]["example.com/number"],
        number.as_str()
    );
    assert_eq!(metadata["annotations"]["example.com/commit"], commit[..7]);
    assert_eq!(get("generated")["data"], json!({ "number": number }));

    pull_request.close();
    environment.until_gone();
}

pub(crate) fn a_number_in_quotes_of_the_overlay_is_refused_as_the_docs_say(cluster: &Cluster) {
    let places = [
        "\"${PULL_REQUEST}\"",
        "'${PULL_REQUEST}'",
        "|-\n    ${PULL_REQUEST}",
    ];
    for (branch, place) in ["in-double", "in-single", "in-block"].iter().zip(places) {
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: about\ndata:\n  number: {place}\n"
        );
        let files = [
            ("kustomization.yaml", OVERLAY.to_owned()),
            ("strings.yaml", map),
        ];
        let pull_request = cluster.pull_request_with(cluster.repository.clone(), branch, &files);
        let environment = pull_request.deploy();
        let refusal = format!("ConfigMap/{branch}/about");
        cluster.watch.until_failing(&environment.object, &refusal);
        pull_request.close();
        environment.until_let_go();
        // The refusal came before Flux had its inventory, so the namespace stays until somebody deletes it.
        cluster.plane.kube.kubectl(&["delete", "namespace", branch]);
    }
}
