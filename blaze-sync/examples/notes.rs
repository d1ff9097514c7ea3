//! Two apps, each with an encrypted database of its own, edit the same notes.
//!
//! `cargo run -p blaze-sync --example notes`

use blaze_sync::{Database, Mode, Record, Role, Topology, record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;

    // The one line that chooses the transport; these do as well:
    //   let endpoint = "mem:notes".to_owned();
    //   let endpoint = "tcp://127.0.0.1:0".to_owned();
    let endpoint = format!("unix:{}", directory.path().join("notes.sock").display());

    // App 1 listens.
    let db1 = Database::open(directory.path().join("app1.blaze")).password("secret").await?;
    let topology1 = Topology::new();
    let app1 = topology1.register(db1.clone(), "App1DB", Role::Server).await?;
    let endpoint = topology1.listen(app1, &endpoint).await?.to_string();

    // App 2, usually another process, connects.
    let db2 = Database::open(directory.path().join("app2.blaze")).password("other").await?;
    let topology2 = Topology::new();
    let app2 = topology2.register(db2.clone(), "App2DB", Role::Client).await?;
    topology2.connect(app2, &endpoint, Mode::Bidirectional).await?;

    // What one writes, the other sees.
    let mut changes = db2.observe("notes")?;
    let id = db1.collection("notes").insert(record! { "title" => "hello", "stars" => 3 }).await?;
    changes.next().await?;
    db2.collection("notes").update(&id, record! { "stars" => 5 }).await?;
    topology2.synced(app2).await?;

    let note: Option<Record> = db1.collection("notes").get(&id).await?;
    println!("over {endpoint}: {note:?}");

    topology2.close().await;
    topology1.close().await;
    Ok(())
}
