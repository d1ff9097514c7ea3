//! The data that all formats carry, as a Rust program would own it.
//!
//! It is Blaze's data model in plain types: what most formats derive is derived
//! here, so that they encode the very same values. Formats that need types of
//! their own have them in their own files.

/// Derives what most formats need of owned data. (What bincode derives of an enum
/// doesn't compile if a macro asks for it.)
macro_rules! owned {
    ($($item:item)*) => {
        $(
            #[derive(
                Debug, Clone, PartialEq,
                serde::Serialize, serde::Deserialize,
                borsh::BorshSerialize, borsh::BorshDeserialize,
                minicbor::Encode, minicbor::Decode,
                rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
                speedy::Readable, speedy::Writable,
            )]
            $item
        )*
    };
}

owned! {
    /// One record's change at one version.
    #[derive(bincode::Encode, bincode::Decode)]
    pub(crate) struct Operation {
        #[n(0)]
        pub(crate) collection: String,
        #[n(1)]
        pub(crate) key: Key,
        #[n(2)]
        pub(crate) version: Version,
        /// The version of another author that it replaced.
        #[n(3)]
        pub(crate) base: Option<Version>,
        #[n(4)]
        pub(crate) change: Change,
    }

    /// What an operation does to its record; fields ascend by their names.
    #[derive(bincode::Encode, bincode::Decode)]
    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    pub(crate) enum Change {
        #[n(0)]
        Insert(#[n(0)] Vec<(String, Value)>),
        /// A field without a value is removed.
        #[n(1)]
        Update(#[n(0)] Vec<(String, Option<Value>)>),
        #[n(2)]
        Delete,
    }

    /// The value of a field.
    #[derive(bincode::Encode, bincode::Decode)]
    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    // What rkyv needs of a type that contains itself.
    #[rkyv(
        serialize_bounds(
            __S: rkyv::ser::Writer + rkyv::ser::Allocator,
            __S::Error: rkyv::rancor::Source,
        ),
        deserialize_bounds(__D::Error: rkyv::rancor::Source),
        bytecheck(bounds(__C: rkyv::validation::ArchiveContext)),
    )]
    pub(crate) enum Value {
        #[n(0)]
        Null,
        #[n(1)]
        Bool(#[n(0)] bool),
        #[n(2)]
        Int(#[n(0)] i64),
        #[n(3)]
        Float(#[n(0)] f64),
        #[n(4)]
        Text(#[n(0)] String),
        #[n(5)]
        Bytes(#[n(0)] #[cbor(with = "minicbor::bytes")] #[serde(with = "crate::text::bytes")] Vec<u8>),
        #[n(6)]
        Uuid(#[n(0)] Id),
        /// Milliseconds since 1970.
        #[n(7)]
        Timestamp(#[n(0)] i64),
        #[n(8)]
        Array(#[n(0)] #[rkyv(omit_bounds)] Vec<Value>),
        #[n(9)]
        Map(#[n(0)] #[rkyv(omit_bounds)] Vec<(String, Value)>),
    }
}

owned! {
    /// A record within its collection.
    #[derive(bitcode::Encode, bitcode::Decode, bincode::Encode, bincode::Decode)]
    #[serde(rename_all = "lowercase")]
    #[cbor(flat)]
    pub(crate) enum Key {
        #[n(0)]
        Uuid(#[n(0)] Id),
        #[n(1)]
        Int(#[n(0)] i64),
        #[n(2)]
        Text(#[n(0)] String),
        #[n(3)]
        Bytes(#[n(0)] #[cbor(with = "minicbor::bytes")] #[serde(with = "crate::text::bytes")] Vec<u8>),
    }

    /// When and by whom something was written.
    #[derive(Copy, bitcode::Encode, bitcode::Decode, bincode::Encode, bincode::Decode)]
    pub(crate) struct Version {
        #[n(0)]
        pub(crate) epoch: u64,
        #[n(1)]
        pub(crate) hlc: u64,
        #[n(2)]
        pub(crate) node: Id,
    }

    /// 16 bytes: a node's id, or a UUID.
    #[derive(Copy, bitcode::Encode, bitcode::Decode, bincode::Encode, bincode::Decode)]
    #[serde(transparent)]
    #[cbor(transparent)]
    pub(crate) struct Id(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "crate::text::id")]
        pub(crate) [u8; 16],
    );
}
