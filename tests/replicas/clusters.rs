//! A store belongs to one cluster.

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::run;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::CLUSTER;

#[test]
fn the_store_of_another_cluster_is_refused_until_it_is_accepted() {
    let organization = CLUSTER.organization();
    let file = organization.file("roster.db");
    let store = format!("sqlite://{}?mode=rwc", file.display());
    let mut operator = Replica::start(&organization, &store, &[]);
    operator.until_it_works();
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    run(async {
        let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        sqlx::query("UPDATE leadership SET cluster = 'the-other'")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    let mut refused = Replica::start(&organization, &store, &[]);
    assert_eq!(refused.exit_code(), Some(2));
    let uid = organization.admin().get("Namespace", "kube-system").unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let message = format!("(its kube-system has the uid the-other, this one's {uid})");
    assert!(refused.says(&message) && refused.says("--accept-cluster"), "{}", refused.log());
    let mut accepted = Replica::start(&organization, &store, &["--accept-cluster"]);
    accepted.until_it_works();
    assert_eq!(accepted.last("former"), Some("the-other".into()));
    assert_eq!(accepted.last("cluster"), Some(uid.into()));
    accepted.kill();
    let mut at_home = Replica::start(&organization, &store, &[]);
    at_home.until_it_works();
    assert!(at_home.runs() && at_home.last("former").is_none());
}
