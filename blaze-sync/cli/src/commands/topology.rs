//! `blaze topology`: draws who syncs with whom, before anything runs.

use std::io::Write;

use anyhow::Result;
use blaze_sync::{NodeKey, TopologyGraph};
use clap::ValueEnum;

use crate::output::{self, Out, count};

/// Draws who syncs with whom, and tells who receives what; nothing is started
///
/// Whoever comes later in the list connects to whoever comes earlier. In a hub, a broadcast and an
/// aggregation the first name is the centre; in a tree it is the root.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze topology hub office phone laptop
  blaze topology chain a b c --check
  blaze topology tree root a b c d --fanout 2
  blaze topology mesh a b c d --format dot | dot -Tsvg > mesh.svg
  blaze topology broadcast source screen1 screen2 --format mermaid")]
pub(crate) struct Args {
    /// The shape
    #[arg(value_enum)]
    pattern: Pattern,

    /// The nodes
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// How many children a node of a tree has at most
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    fanout: usize,

    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Warn, on standard error, of what may not be meant, such as a node that all depend on
    #[arg(long)]
    check: bool,
}

/// A usual shape.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Pattern {
    /// All sync through the first
    Hub,
    /// Everybody with everybody
    Mesh,
    /// Each with the one before
    Chain,
    /// Each with its parent
    Tree,
    /// All only receive from the first
    Broadcast,
    /// All only send to the first
    Aggregation,
}

/// How a topology is drawn.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal, with who receives what
    Text,
    /// For Graphviz
    Dot,
    /// For Mermaid, which many sites show in Markdown
    Mermaid,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let graph = self.graph()?;
        let mut out = Out::raw();
        match self.format {
            Format::Text => writeln!(out, "{}\n{}", graph.to_text(), flows(&graph))?,
            Format::Dot => out.write_all(graph.to_dot().as_bytes())?,
            Format::Mermaid => out.write_all(graph.to_mermaid().as_bytes())?,
        }
        out.flush()?;
        if self.check {
            graph.warnings().iter().for_each(output::warning);
        }
        Ok(())
    }

    fn graph(&self) -> Result<TopologyGraph> {
        let names = || self.names.iter().cloned();
        let (first, others) = (self.names[0].clone(), self.names[1..].iter().cloned());
        Ok(match self.pattern {
            Pattern::Hub => TopologyGraph::hub_and_spoke(first, others),
            Pattern::Mesh => TopologyGraph::mesh(names()),
            Pattern::Chain => TopologyGraph::chain(names()),
            Pattern::Tree => TopologyGraph::tree(names(), self.fanout),
            Pattern::Broadcast => TopologyGraph::broadcast(first, others),
            Pattern::Aggregation => TopologyGraph::aggregation(first, others),
        }?)
    }
}

/// A line a node: who receives what it writes, and over how many hops.
fn flows(graph: &TopologyGraph) -> String {
    let name = |key: NodeKey| graph.node(key).map_or("", |node| node.name());
    let line = |node: NodeKey| {
        let receivers = graph.receivers(node).into_iter();
        let receivers: Vec<_> = receivers
            .map(|(key, hops)| format!("{} ({})", name(key), count(hops as u64, "hop")))
            .collect();
        let reached = if receivers.is_empty() { "nobody".to_owned() } else { receivers.join(", ") };
        format!("what {} writes reaches {reached}", name(node))
    };
    graph.nodes().map(|node| line(node.key())).collect::<Vec<_>>().join("\n")
}
