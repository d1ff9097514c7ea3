//! Replicas that have exchanged everything are equal.

use blaze_codec::{Role, record};
use fastrand::Rng;

use crate::subject::{Subject, delete, insert, peer, set};
use crate::{Harness, Settings, TestClock, random};

/// Merging the feed from the start into an empty database makes an equal one:
/// the same records, and the same feed to the next.
pub async fn the_feed_makes_an_equal_database<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let writers = [Subject::new(harness).await, Subject::new(harness).await];
    database
        .write([1, 2, 3, 4].map(|key| insert("notes", key, record! { "a" => key, "b" => "x" })))
        .await;
    for (writer, value) in writers.iter().zip([10, 20]) {
        writer.pull(&database).await;
        writer.write([set("notes", 1, "a", value), set("notes", 2, "c", value)]).await;
        writer.write([delete("notes", 3), delete("notes", 4)]).await;
    }
    writers[1].write([insert("notes", 4, record! { "reborn" => true })]).await;
    database.write([set("notes", 4, "b", "late")]).await;
    for writer in &writers {
        database.pull(writer).await;
    }
    // Updates whose insert was never seen are a part of the state, too.
    let unseen = random::operations(&mut Rng::with_seed(11), 40);
    database.take(peer(1), 1, &unseen).await;

    let states = database.states().await;
    let (copy, second) = (Subject::new(harness).await, Subject::new(harness).await);
    copy.pull(&database).await;
    assert_eq!(copy.states().await, states);
    second.pull(&copy).await;
    assert_eq!(second.states().await, states);
}

/// Servers and clients that write at random and meet in pairs end up equal, with
/// wall clocks that go wrong.
pub async fn replicas_converge<H: Harness>(harness: &H) {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let clock = TestClock::new(1_000);
        let mut replicas = Vec::new();
        for role in [Role::Server, Role::Client, Role::Client] {
            replicas.push(Subject::with(harness, clock.settings(role)).await);
        }
        for _ in 0..60 {
            clock.set(1_000 + rng.u64(..50));
            let replica = &replicas[rng.usize(..replicas.len())];
            let other = &replicas[rng.usize(..replicas.len())];
            match rng.u8(..4) {
                0 if replica.identity().node != other.identity().node => {
                    replica.pull(other).await;
                }
                1 => {
                    if let Some((key, _)) = replica.all("left").await.first() {
                        replica.write([random::field_write(&mut rng, "left", key)]).await;
                    }
                }
                _ => {
                    let count = rng.usize(1..4);
                    replica.write(random::writes(&mut rng, count)).await;
                }
            }
        }
        // Two rounds in a ring bring everything everywhere.
        for at in 0..2 * replicas.len() {
            let next = (at + 1) % replicas.len();
            replicas[next].pull(&replicas[at % replicas.len()]).await;
        }
        let expected = replicas[0].states().await;
        for replica in &replicas[1..] {
            assert_eq!(replica.states().await, expected, "seed {seed}");
        }
    }
}

/// A replica that gets the feed of a database still being written, piece by
/// piece, loses nothing.
pub async fn a_moving_feed_can_be_followed<H: Harness>(harness: &H) {
    let (database, replica) = (Subject::new(harness).await, Subject::new(harness).await);
    let mut rng = Rng::with_seed(5);
    for _ in 0..40 {
        let count = rng.usize(1..4);
        database.write(random::writes(&mut rng, count)).await;
        if rng.bool() {
            replica.pull(&database).await;
        }
    }
    replica.pull(&database).await;
    assert_eq!(replica.states().await, database.states().await);
    let Some(replica) = replica.reopen(Settings::default()).await else { return };
    assert!(replica.pull(&database).await.committed.is_none(), "everything was known");
}
