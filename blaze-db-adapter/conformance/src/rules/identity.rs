//! Who a replica is.

use crate::subject::{Subject, insert};
use crate::{Harness, Settings};
use blaze_codec::{NodeId, Role, record};

/// Two new databases are two replicas, and neither is nobody.
pub async fn a_new_database_is_a_replica_of_its_own<H: Harness>(harness: &H) {
    let (one, other) = (Subject::new(harness).await, Subject::new(harness).await);
    assert_ne!(one.identity().node, other.identity().node);
    assert_ne!(one.identity().node, NodeId::ZERO);
    assert_eq!(one.identity().database, other.identity().database);
}

/// A database that is opened again is the same replica.
pub async fn identity_survives_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! {})]).await;
    let identity = database.identity();
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.identity(), identity);
}

/// The role is a new database's as asked for, then as it was set last.
pub async fn role_survives_reopening<H: Harness>(harness: &H) {
    let settings = Settings { role: Role::Server, ..Settings::default() };
    let database = Subject::with(harness, settings).await;
    assert_eq!(database.identity().role, Role::Server);
    database.set_role(Role::Client).await.expect("a role can be set");
    assert_eq!(database.identity().role, Role::Client);
    database.set_role(Role::Server).await.expect("a role can be set");
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.identity().role, Role::Server);
}
