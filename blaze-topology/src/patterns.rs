//! The usual shapes, made from lists of names.

use blaze_codec::{Mode, Role};

use crate::{NodeKey, Topology, TopologyError};

/// The usual shapes.
///
/// In each of them the node that comes later connects to the one that comes
/// earlier, so that nodes can be started in the order of the list. A pattern
/// has one [`Role::Server`] where one node is the authority, and none where all
/// are peers; [`Topology::set_role`] changes that. All of them return a
/// [`TopologyError`] if a name is invalid or comes twice.
impl Topology {
    /// Spokes that sync with each other through a hub.
    ///
    /// The hub is the server, spokes are clients, links are bidirectional.
    ///
    /// ```
    /// # use blaze_topology::Topology;
    /// # fn main() -> Result<(), blaze_topology::TopologyError> {
    /// let star = Topology::hub_and_spoke("hub", ["phone", "laptop"])?;
    /// let (phone, laptop) = (star.find("phone").unwrap(), star.find("laptop").unwrap());
    /// assert_eq!(star.reaches(phone, laptop), Some(2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a name is invalid or comes twice.
    pub fn hub_and_spoke<S: Into<String>>(
        hub: impl Into<String>,
        spokes: impl IntoIterator<Item = S>,
    ) -> Result<Self, TopologyError> {
        Self::star(hub.into(), spokes, Mode::Bidirectional)
    }

    /// Every node linked to every other: one hop from anybody to anybody.
    ///
    /// All are clients, links are bidirectional.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a name is invalid or comes twice.
    pub fn mesh<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, TopologyError> {
        let (mut topology, keys) = Self::of_clients(names)?;
        for (index, &later) in keys.iter().enumerate() {
            for &earlier in &keys[..index] {
                topology.add_link(later, earlier, Mode::Bidirectional)?;
            }
        }
        Ok(topology)
    }

    /// Every node linked to the one before it.
    ///
    /// All are clients, links are bidirectional.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a name is invalid or comes twice.
    pub fn chain<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, TopologyError> {
        let (mut topology, keys) = Self::of_clients(names)?;
        for pair in keys.windows(2) {
            topology.add_link(pair[1], pair[0], Mode::Bidirectional)?;
        }
        Ok(topology)
    }

    /// A tree, filled level by level: the first name is the root, and each node
    /// has at most `fanout` children.
    ///
    /// The root is the server, all others are clients, links are bidirectional.
    ///
    /// # Errors
    ///
    /// [`TopologyError::ZeroFanout`], or another one if a name is invalid or
    /// comes twice.
    pub fn tree<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        fanout: usize,
    ) -> Result<Self, TopologyError> {
        if fanout == 0 {
            return Err(TopologyError::ZeroFanout);
        }
        let (mut topology, keys) = Self::of_clients(names)?;
        if let Some(&root) = keys.first() {
            topology.set_role(root, Role::Server)?;
        }
        for (index, &child) in keys.iter().enumerate().skip(1) {
            topology.add_link(child, keys[(index - 1) / fanout], Mode::Bidirectional)?;
        }
        Ok(topology)
    }

    /// One source that many read: receivers connect read-only.
    ///
    /// The source is the server, receivers are clients. What a receiver writes
    /// stays with it.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a name is invalid or comes twice.
    pub fn broadcast<S: Into<String>>(
        source: impl Into<String>,
        receivers: impl IntoIterator<Item = S>,
    ) -> Result<Self, TopologyError> {
        Self::star(source.into(), receivers, Mode::ReadOnly)
    }

    /// Many sources that one node collects from: sources connect write-only.
    ///
    /// The collector is the server, sources are clients. What the collector
    /// writes stays with it, and as a server's write it beats later writes of
    /// the sources to the same fields, which never see it.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a name is invalid or comes twice.
    pub fn aggregation<S: Into<String>>(
        collector: impl Into<String>,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Self, TopologyError> {
        Self::star(collector.into(), sources, Mode::WriteOnly)
    }

    fn star<S: Into<String>>(
        centre: String,
        others: impl IntoIterator<Item = S>,
        mode: Mode,
    ) -> Result<Self, TopologyError> {
        let mut topology = Self::new();
        let centre = topology.add_node(centre, Role::Server)?;
        for name in others {
            let other = topology.add_node(name, Role::Client)?;
            topology.add_link(other, centre, mode)?;
        }
        Ok(topology)
    }

    fn of_clients<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<(Self, Vec<NodeKey>), TopologyError> {
        let mut topology = Self::new();
        let keys = names
            .into_iter()
            .map(|name| topology.add_node(name, Role::Client))
            .collect::<Result<_, _>>()?;
        Ok((topology, keys))
    }
}
