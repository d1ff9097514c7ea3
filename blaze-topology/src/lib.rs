//! Who syncs with whom: nodes, links, modes, and questions about them.
