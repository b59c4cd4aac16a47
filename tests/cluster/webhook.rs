//! GitHub's push webhook in front of Flux, which else looks once a minute.

use serde_json::Value;

use crate::cluster::{Cluster, WEBHOOK_SECRET};
use crate::plane::Plane;

/// When somebody last asked Flux to look at a source.
fn requested(cluster: &Cluster, source: &str) -> Value {
    let source = cluster
        .plane
        .kube
        .get("flux-system", "gitrepository", source)
        .unwrap();
    source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].clone()
}

pub(crate) fn a_signed_push_wakes_flux_and_a_wrong_signature_does_nothing() {
    let cluster = Cluster::polling(Plane::start());
    let interval =
        cluster.watch.now().git_repository("flux-system").unwrap()["spec"]["interval"].clone();
    assert_eq!(interval, "1m0s");

    cluster.add_webhook("not the secret");
    let before = requested(&cluster, "flux-system");
    let pull_request = cluster.pull_request("woken", "first");
    pull_request.deploy();
    // A ping, the branch and main.
    let refused = until_delivered(&cluster, 3);
    assert!(refused.iter().all(|status| *status >= 400), "{refused:?}");
    assert_eq!(requested(&cluster, "flux-system"), before);

    cluster.add_webhook(WEBHOOK_SECRET);
    let asleep = cluster.pull_request("asleep", "here").deploy();
    let environment = pull_request.deploy();
    environment.until_ready();
    asleep.until_ready();
    assert_ne!(requested(&cluster, "flux-system"), before);
    assert_eq!(requested(&cluster, &environment.object), Value::Null);

    let pushed = pull_request.push("second");
    environment.until_applied(&pushed);
    assert_ne!(requested(&cluster, &environment.object), Value::Null);
    assert_eq!(requested(&cluster, &asleep.object), Value::Null);
    pull_request.close();
    environment.until_gone();
    let pings = cluster.github.deliveries();
    let pings = pings.iter().filter(|delivery| delivery.event == "ping");
    let welcome: Vec<bool> = pings.map(|delivery| delivery.status == Some(200)).collect();
    assert_eq!(welcome, [false, true]);
}

/// The status of the answers to the first deliveries, once there are that many.
fn until_delivered(cluster: &Cluster, count: usize) -> Vec<u16> {
    for _ in 0..600 {
        let answered: Vec<u16> = cluster
            .github
            .deliveries()
            .iter()
            .filter_map(|delivery| delivery.status)
            .collect();
        if answered.len() >= count {
            return answered;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("not delivered: {:?}", cluster.github.deliveries())
}
